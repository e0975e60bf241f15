"""What `cmake --install` leaves: complete, movable, and usable from C and C++ by find_package and pkg-config.

package_test.py BUILD_FOLDER SOURCE_FOLDER CMAKE_PROGRAM [unittest's arguments]
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD, SOURCE, CMAKE = (os.path.abspath(p) if i < 2 else p for i, p in enumerate(sys.argv[1:4]))
EXAMPLES = os.path.join(SOURCE, "tools/examples")
TAP = ("200", "120")  # the cat
COMMON = ("development", "weights", "tools", "documents")


def run(*command, cwd=None, env=None, stdin=None):
    result = subprocess.run(command, cwd=cwd, env={**os.environ, **(env or {})}, input=stdin, capture_output=True, check=False)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(command)} failed:\n{result.stdout.decode()}{result.stderr.decode()}")
    return result.stdout.decode()


def install(prefix, components, build=BUILD, env=None):
    for component in components:
        run(CMAKE, "--install", build, "--prefix", prefix, "--component", component, env=env)


def read_pgm(path):
    with open(path, "rb") as file:
        magic, width, height, white = file.readline().split()
        return magic, int(width), int(height), white, file.read()


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        from PIL import Image
        cls.folder = tempfile.TemporaryDirectory(prefix="mfs_package_")
        cls.root = cls.folder.name
        cls.photo = os.path.join(cls.root, "cat.ppm")
        with Image.open(os.path.join(SOURCE, "tools/demo/cat.jpg")) as image:
            image.convert("RGB").save(cls.photo)
        # Installed in one place, used in another.
        cls.prefix = {}
        for kind in ("static", "shared"):
            made = os.path.join(cls.root, "made", kind)
            install(made, (kind, *COMMON))
            os.makedirs(os.path.join(cls.root, "moved"), exist_ok=True)
            cls.prefix[kind] = os.path.join(cls.root, "moved", kind)
            os.rename(made, cls.prefix[kind])
        cls.masks = []

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def path(self, kind, *parts):
        return os.path.join(self.prefix[kind], *parts)

    def pkg_config(self, kind, *arguments):
        return run("pkg-config", *arguments, "mfs", env={"PKG_CONFIG_PATH": self.path(kind, "lib/pkgconfig")}).split()

    def segment(self, program, kind, **environment):
        """Runs an example on the photo; all of them must find the same object, and find one."""
        mask = os.path.join(self.root, "mask.pgm")
        run(program, self.path(kind, "share/mfs/mfs-small.safetensors"), self.photo, *TAP, mask, env=environment)
        magic, width, height, white, pixels = read_pgm(mask)
        self.assertEqual((magic, white, len(pixels)), (b"P5", b"255", width * height))
        self.assertEqual(pixels[int(TAP[1]) * width + int(TAP[0])], 255)
        self.assertGreater(pixels.count(255), len(pixels) // 20)
        self.masks.append(pixels)
        self.assertEqual(self.masks[0], pixels)

    def with_find_package(self, kind, source, name, *options):
        build = os.path.join(self.root, name)
        run(CMAKE, "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix[kind]}", *options)
        run(CMAKE, "--build", build, "-j", "2")
        return build

    def test_find_package_static(self):
        build = self.with_find_package("static", EXAMPLES, "cmake_static")
        self.segment(f"{build}/segment", "static")
        self.segment(f"{build}/segment_c", "static")
        self.camera(f"{build}/camera", "static")

    def test_find_package_shared(self):
        build = self.with_find_package("shared", EXAMPLES, "cmake_shared")
        self.segment(f"{build}/segment", "shared")
        self.segment(f"{build}/segment_c", "shared")

    def test_find_package_without_cxx(self):
        for kind in ("static", "shared"):
            build = self.with_find_package(kind, os.path.join(SOURCE, "tests/package/c_only"), f"c_{kind}", f"-DEXAMPLES={EXAMPLES}")
            self.segment(f"{build}/segment_c", kind)

    def test_pkg_config(self):
        for kind in ("static", "shared"):
            static = ["--static"] if kind == "static" else []
            flags = self.pkg_config(kind, "--cflags", "--libs", *static)
            for compiler, source in (("cc", "segment.c"), ("c++", "segment.cpp")):
                program = os.path.join(self.root, f"pc_{kind}_{compiler}")
                standard = ["-std=c++20"] if compiler == "c++" else ["-std=c99"]
                run(compiler, *standard, os.path.join(EXAMPLES, source), "-o", program, *flags)
                self.segment(program, kind, LD_LIBRARY_PATH=self.path(kind, "lib"))
        weights, = self.pkg_config("shared", "--variable=weights")
        self.assertTrue(os.path.samefile(weights, self.path("shared", "share/mfs/mfs-small.safetensors")))

    def camera(self, program, kind):
        """Frames come faster than masks: the last frame gets one, and few others do."""
        from PIL import Image
        with Image.open(self.photo) as image:
            small = image.resize((96, 64))
        lines = run(program, self.path(kind, "share/mfs/mfs-small.safetensors"), "96", "64", "48", "26",
                    stdin=small.tobytes() * 200).splitlines()
        numbers = [int(re.fullmatch(r"frame (\d+): \d+ pixels", line).group(1)) for line in lines]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(numbers[-1], 199)
        self.assertLess(len(numbers), 100)

    def test_the_program_finds_its_weights_where_it_was_moved(self):
        mask = os.path.join(self.root, "tool.png")
        run(self.path("static", "bin/mfs_infer"), self.photo, "--click", ",".join(TAP), "-o", mask, cwd="/")
        from PIL import Image
        with Image.open(mask) as image:
            self.assertEqual(image.getpixel((int(TAP[0]), int(TAP[1]))), 255)

    def test_shared_library_shows_the_header_and_nothing_else(self):
        with open(self.path("shared", "include/mfs/mfs.h"), encoding="utf-8") as file:
            header = file.read()
        declared = set(re.findall(r"^MFS_API [^(]*?\b(mfs_\w+)\(", header, re.MULTILINE))
        abi = re.search(r"#define MFS_ABI_VERSION (\d+)", header).group(1)
        library = self.path("shared", "lib/libmfs.so")
        shown = {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()}
        self.assertGreater(len(declared), 10)
        self.assertEqual(shown, declared)
        self.assertEqual(os.readlink(library), f"libmfs.so.{abi}")
        self.assertIn(f"soname: [libmfs.so.{abi}]", run("readelf", "-d", library))

    def test_each_kind_installs_its_library_only(self):
        self.assertEqual(os.path.exists(self.path("static", "lib/libmfs.so")), False)
        self.assertEqual(os.path.exists(self.path("shared", "lib/libmfs.a")), False)

    def test_no_installed_file_names_the_build(self):
        for kind, prefix in self.prefix.items():
            for folder, _, files in os.walk(prefix):
                for name in files:
                    if name.endswith((".cmake", ".pc", ".h", ".hpp")):
                        with open(os.path.join(folder, name), encoding="utf-8") as file:
                            text = file.read()
                        self.assertNotIn(BUILD, text, f"{kind}: {name}")
                        self.assertNotIn(SOURCE, text, f"{kind}: {name}")

    def test_destdir_and_another_library_folder(self):
        build = os.path.join(self.root, "other")
        run(CMAKE, "-S", SOURCE, "-B", build, "-DCMAKE_INSTALL_PREFIX=/opt/mfs", "-DCMAKE_INSTALL_LIBDIR=lib/deep/er",
            "-DBUILD_SHARED_LIBS=ON", "-DMFS_TOOLS=OFF", "-DMFS_TESTS=OFF", "-DMFS_CUDA=OFF", "-DMFS_PYTHON_MODULE=OFF")
        for name in os.listdir(BUILD):
            if name.startswith("libmfs.so"):
                shutil.copy(os.path.join(BUILD, name), build, follow_symlinks=False)
        stage = os.path.join(self.root, "stage")
        run(CMAKE, "--install", build, env={"DESTDIR": stage})
        lib = os.path.join(stage, "opt/mfs/lib/deep/er")
        self.assertEqual(os.listdir(stage), ["opt"])
        self.assertTrue(os.path.exists(f"{lib}/libmfs.so"))
        flags = run("pkg-config", "--cflags", "--libs", "mfs", env={"PKG_CONFIG_PATH": f"{lib}/pkgconfig"}).split()
        program = os.path.join(self.root, "deep")
        run("cc", os.path.join(EXAMPLES, "segment.c"), "-o", program, *flags)
        self.segment(program, "shared", LD_LIBRARY_PATH=lib)
        out = self.root + "/cmake_deep"
        run(CMAKE, "-S", os.path.join(SOURCE, "tests/package/c_only"), "-B", out, f"-DEXAMPLES={EXAMPLES}", f"-Dmfs_DIR={lib}/cmake/mfs")

    def test_manual_pages_have_every_option(self):
        for tool in ("mfs_infer", "mfs_eval", "mfs_calibrate"):
            words = run(self.path("static", f"bin/{tool}"), "--help")
            offered = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", words))
            with open(self.path("static", f"share/man/man1/{tool}.1"), encoding="utf-8") as file:
                manual = file.read().replace("\\-", "-")
            self.assertGreater(len(offered), 5)
            for option in offered:
                self.assertRegex(manual, re.escape(option) + r"(?![\w-])", f"{tool}.1 lacks {option}")

    def test_debian_package(self):
        if shutil.which("dpkg-shlibdeps") is None:
            self.skipTest("needs dpkg-dev")
        out = os.path.join(self.root, "deb")
        run(os.path.join(os.path.dirname(shutil.which(CMAKE)), "cpack"), "--config", f"{BUILD}/CPackConfig.cmake", "-G", "DEB", "-B", out)
        package, = (os.path.join(out, name) for name in os.listdir(out) if name.endswith(".deb"))
        files = {line.split()[5] for line in run("dpkg-deb", "-c", package).splitlines()}
        for name in ("bin/mfs_infer", "bin/mfs_eval", "bin/mfs_calibrate", "include/mfs/mfs.h", "include/mfs/mfs.hpp", "share/mfs/mfs-small.safetensors",
                     "share/man/man1/mfs_infer.1.gz", "share/man/man1/mfs_eval.1.gz", "share/doc/mfs/copyright",
                     "share/doc/mfs/changelog.gz"):
            self.assertIn(f"./usr/{name}", files)
        self.assertTrue(any(re.fullmatch(r"\./usr/lib/.*libmfs\.so\.\d+", name) for name in files))
        self.assertFalse(any(name.endswith(".a") for name in files))
        needs = run("dpkg-deb", "-f", package, "Depends")
        for library in ("libc6", "libdnnl2", "libgomp1", "libstdc++6"):
            self.assertIn(library, needs)
        self.assertEqual(run("dpkg-deb", "-f", package, "Package").strip(), "mfs")


if __name__ == "__main__":
    missing = [program for program in ("pkg-config", "cc", "c++") if shutil.which(program) is None]
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        missing.append("python3-pil")
    if missing:
        print("skipped: needs", ", ".join(missing))
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
