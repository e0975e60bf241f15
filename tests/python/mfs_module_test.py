"""The Python package: NumPy arrays in and out, exceptions, threads.  PYTHONPATH=build/python mfs_module_test.py"""
import ast
import ctypes
import inspect
import os
import sys
import tempfile
import threading
import time
import unittest

try:
    import numpy as np
    from PIL import Image
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)
import mfs

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TAP = (300, 200)  # the cat


class CudaArray:
    """What a library with arrays on a GPU shows; the memory is never touched here."""

    def __init__(self, shape, typestr, strides=None):
        self.__cuda_array_interface__ = {"shape": shape, "typestr": typestr, "strides": strides, "data": (4096, False), "version": 3}


class DlTensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64), ("context", ctypes.c_void_p),
                ("deleter", ctypes.c_void_p)]


class DlpackArray:
    """The same as a DLPack capsule."""

    def __init__(self, shape, typestr, strides=None):
        item = int(typestr[2])
        self.shape = (ctypes.c_int64 * len(shape))(*shape)
        self.strides = strides and (ctypes.c_int64 * len(shape))(*(s // item for s in strides))
        self.tensor = DlTensor(data=4096, device_type=2, ndim=len(shape), code={"u": 1, "f": 2, "i": 0}[typestr[1]], bits=8 * item,
                               lanes=1, shape=self.shape, strides=self.strides)

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, stream):
        assert stream == 1
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return new(ctypes.addressof(self.tensor), b"dltensor", None)


class Module(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with Image.open(os.path.join(SOURCE, "tools/demo/cat.jpg")) as image:
            cls.photo = np.array(image.convert("RGB"))
        cls.model = mfs.Model(device="cpu", precision="f32")
        cls.session = cls.model.session(size=(64, 64))
        cls.mask = cls.session.segment(cls.photo, [TAP])

    def test_a_mask_at_the_trained_size(self):
        mask = self.model.session().segment(self.photo, [TAP])
        self.assertEqual((mask.shape, mask.dtype), (self.photo.shape[:2], np.uint8))
        self.assertEqual(mask[TAP[1], TAP[0]], 255)
        self.assertTrue(0.1 < (mask == 255).mean() < 0.9)
        self.assertLessEqual(set(np.unique(mask)), {0, 255})

    def test_what_the_model_tells(self):
        self.assertEqual((self.model.device, self.model.precision, self.model.size), ("cpu", "f32", (320, 320)))
        self.assertEqual(self.model.variant, "resnet-multi")
        self.assertTrue(self.model.uses_taps)
        self.assertGreater(self.model.parameters, 1_000_000)
        self.assertGreater(self.session.memory_bytes, 0)
        self.assertGreater(self.session.timings["infer"], 0)
        self.assertEqual(mfs.Model(threads=1).threads, 1)

    def test_mask_is_the_probability_above_the_threshold(self):
        probability = self.session.probability(self.photo, [TAP])
        self.assertEqual((probability.shape, probability.dtype), (self.photo.shape[:2], np.float32))
        np.testing.assert_array_equal(self.mask, np.where(probability > 0.5, 255, 0))
        np.testing.assert_array_equal(self.session.segment(self.photo, [TAP], threshold=0.8), np.where(probability > np.float32(0.8), 255, 0))

    def test_strides_and_orders_of_memory_do_not_matter(self):
        height, width, _ = self.photo.shape
        wide = np.zeros((height, width + 13, 3), np.uint8)
        wide[:, 5:5 + width] = self.photo
        tall = np.zeros((2 * height, width, 3), np.uint8)
        tall[::2] = self.photo
        views = {"a column range": wide[:, 5:5 + width], "every other row": tall[::2], "Fortran order": np.asfortranarray(self.photo),
                 "rows backwards": np.ascontiguousarray(self.photo[::-1])[::-1], "a PIL image": Image.fromarray(self.photo)}
        for name, view in views.items():
            with self.subTest(name):
                np.testing.assert_array_equal(self.session.segment(view, [TAP]), self.mask)

    def test_formats(self):
        alpha = np.dstack([self.photo, np.zeros(self.photo.shape[:2], np.uint8)])
        np.testing.assert_array_equal(self.session.segment(alpha, [TAP]), self.mask)
        swapped = np.ascontiguousarray(self.photo[:, :, ::-1])
        np.testing.assert_array_equal(self.session.segment(swapped, [TAP], format="bgr"), self.mask)
        grey = self.photo[:, :, 1]
        np.testing.assert_array_equal(self.session.segment(grey, [TAP]), self.session.segment(np.dstack([grey] * 3), [TAP]))
        np.testing.assert_array_equal(self.session.segment(grey[:, :, None], [TAP], format="grey"), self.session.segment(grey, [TAP]))

    def test_results_into_given_arrays(self):
        height, width, _ = self.photo.shape
        canvas = np.full((height + 2, width + 7), 7, np.uint8)
        result = self.session.segment(self.photo, [TAP], out=canvas[1:-1, 3:3 + width])
        self.assertTrue(np.shares_memory(result, canvas))
        np.testing.assert_array_equal(canvas[1:-1, 3:3 + width], self.mask)
        canvas[1:-1, 3:3 + width] = 7
        self.assertTrue((canvas == 7).all())
        frozen = np.zeros((height, width), np.uint8)
        frozen.flags.writeable = False
        for out, error in ((frozen, ValueError), (np.zeros((height, width), np.float32), TypeError), ("no", TypeError),
                           (np.zeros((width, height), np.uint8), ValueError), (np.zeros((height, 2 * width), np.uint8)[:, ::2], ValueError)):
            with self.assertRaisesRegex(error, "out must be a writable array of type uint8 and shape"):
                self.session.segment(self.photo, [TAP], out=out)

    def test_taps_may_be_an_array(self):
        np.testing.assert_array_equal(self.session.segment(self.photo, np.array([TAP], np.int64)), self.mask)

    def test_arrays_that_are_no_images(self):
        for image, error, words in ((self.photo.astype(np.float32), TypeError, "must be of type uint8, not float32"),
                                    (np.zeros((4, 4, 2), np.uint8), ValueError, r"shape \(4, 4, 2\) is neither"),
                                    (np.zeros((0, 4, 3), np.uint8), ValueError, "no rows of pixels"),
                                    (np.zeros(9, np.uint8), ValueError, "no rows of pixels"),
                                    (np.zeros((2, 4, 4, 3), np.uint8), ValueError, "is neither")):
            with self.assertRaisesRegex(error, words):
                self.session.segment(image, [TAP])
        with self.assertRaisesRegex(ValueError, "not of format 'hsv'"):
            self.session.segment(self.photo, [TAP], format="hsv")

    def test_errors_of_the_library(self):
        with tempfile.NamedTemporaryFile() as empty:
            for call, status in ((lambda: self.session.segment(self.photo, [(1e6, 0)]), mfs.Status.INVALID_ARGUMENT),
                                 (lambda: self.session.segment(self.photo, []), mfs.Status.INVALID_ARGUMENT),
                                 (lambda: self.model.session(size=(65, 64)), mfs.Status.INVALID_ARGUMENT),
                                 (lambda: mfs.Model("not there"), mfs.Status.BAD_WEIGHTS),
                                 (lambda: mfs.Model(empty.name), mfs.Status.BAD_WEIGHTS),
                                 (lambda: mfs.Model(device="toaster"), mfs.Status.INVALID_ARGUMENT)):
                with self.assertRaises(mfs.Error) as caught:
                    call()
                self.assertEqual(caught.exception.status, status)
                self.assertGreater(len(str(caught.exception)), 10)
        self.assertTrue(issubclass(mfs.Error, RuntimeError))
        np.testing.assert_array_equal(self.session.segment(self.photo, [TAP]), self.mask)  # still usable

    def test_effects(self):
        probability = self.model.session().probability(self.photo, [TAP])
        cut = mfs.cut_out(self.photo, probability)
        self.assertEqual(cut.shape, (*self.photo.shape[:2], 4))
        self.assertEqual(cut[TAP[1], TAP[0], 3], 255)
        blurred = mfs.blur_background(self.photo, probability, radius=6)
        self.assertEqual(blurred.shape, self.photo.shape)
        self.assertTrue((blurred != self.photo).any())
        drawn = mfs.overlay(self.photo, probability, [TAP])
        self.assertEqual(drawn.shape, self.photo.shape)
        with self.assertRaises(mfs.Error):
            mfs.cut_out(self.photo, probability[:-1])

    def test_other_threads_run_meanwhile(self):
        session = self.model.session()
        ticks, done = [], threading.Event()

        def tick():
            while not done.is_set():
                ticks.append(time.monotonic())
                time.sleep(0.001)

        ticking = threading.Thread(target=tick)
        ticking.start()
        begin = time.monotonic()
        session.probability(self.photo, [TAP])
        end = time.monotonic()
        done.set()
        ticking.join()
        self.assertGreater(sum(begin < t < end for t in ticks), 5)

    def test_sessions_in_threads(self):
        masks = [None] * 3

        def work(i):
            session = self.model.session(size=(64, 64))
            masks[i] = session.segment(self.photo, [TAP])

        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(masks))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for mask in masks:
            np.testing.assert_array_equal(mask, self.mask)

    def test_a_session_outlives_its_model_object(self):
        session = mfs.Model(device="cpu", precision="f32").session(size=(64, 64))
        np.testing.assert_array_equal(session.segment(self.photo, [TAP]), self.mask)

    def test_batches(self):
        session = self.model.session(size=(64, 64), max_batch=3)
        half = self.photo[::2, ::2]
        masks = session.segment_batch([self.photo, half], [[TAP], [(150, 100), (151, 100)]])
        np.testing.assert_array_equal(masks[0], self.mask)
        np.testing.assert_array_equal(masks[1], self.session.segment(half, [(150, 100), (151, 100)]))
        session.warm_up(451, 300, batch=2)
        with self.assertRaisesRegex(ValueError, "2 images, but taps for 1"):
            session.segment_batch([half, half], [[TAP]])
        with self.assertRaises(mfs.Error):
            session.segment_batch([half] * 4, [[(9, 9)]] * 4)

    def test_largest_photo(self):
        session = self.model.session(size=(64, 64), max_size=(451, 300))
        np.testing.assert_array_equal(session.segment(self.photo, [TAP]), self.mask)
        with self.assertRaises(mfs.Error):
            session.segment(np.zeros((301, 451, 3), np.uint8), [TAP])

    def test_zoom_in(self):
        session = self.model.session(size=(64, 64), zoom_in=True)
        closer = session.segment(self.photo, [TAP])
        self.assertEqual(closer[TAP[1], TAP[0]], 255)
        self.assertFalse(np.array_equal(closer, self.mask))
        with self.assertRaisesRegex(mfs.Error, "native_size"):
            self.model.session(native_size=True, zoom_in=True)

    def test_refine(self):
        finer = self.model.session(size=(64, 64), refine=True).segment(self.photo, [TAP])
        self.assertEqual(finer[TAP[1], TAP[0]], 255)
        self.assertFalse(np.array_equal(finer, self.mask))

    def test_device_arrays_are_read_and_refused_on_the_cpu(self):
        for kind in (CudaArray, DlpackArray):
            good, mask = kind((8, 9, 3), "|u1"), kind((8, 9), "|u1")
            with self.assertRaises(mfs.Error) as caught:
                self.session.enqueue([good], [[(1, 1)]], masks=[mask], probabilities=[kind((8, 9), "<f4")])
            self.assertEqual(caught.exception.status, mfs.Status.UNSUPPORTED)
            for image, output, error, words in ((kind((8, 9, 2), "|u1"), mask, ValueError, r"\(8, 9, 2\) is neither"),
                                                (kind((8, 9, 3), "<f4"), mask, TypeError, "must be of type uint8"),
                                                (kind((8, 9, 3), "<i4"), mask, TypeError, "must be of type uint8"),
                                                (good, kind((9, 8), "|u1"), ValueError, "has not the photo's height"),
                                                (kind((8, 9, 3), "|u1", (90, 6, 2)), mask, ValueError, "gaps within a row"),
                                                (kind((8, 9, 3), "|u1", (30, 3, 1)), mask, mfs.Error, "")):
                with self.assertRaisesRegex(error, words):
                    self.session.enqueue([image], [[(1, 1)]], masks=[output])
        for image in (self.photo, "no array"):
            with self.assertRaisesRegex(TypeError, "is not in a GPU's memory|has neither"):
                self.session.enqueue([image], [[(1, 1)]])

    def test_type_hints_name_everything_with_the_same_parameters(self):
        with open(os.path.join(os.path.dirname(mfs.__file__), "__init__.pyi"), encoding="utf-8") as file:
            hints = ast.parse(file.read())
        owners = {None: hints.body, **{c.name: c.body for c in hints.body if isinstance(c, ast.ClassDef)}}
        for owner, body in owners.items():
            module = getattr(mfs, owner) if owner and hasattr(mfs, owner) else mfs
            for node in body:
                if isinstance(node, ast.FunctionDef):
                    words = inspect.getdoc(getattr(module, node.name)) if not node.decorator_list else None
                    self.assertTrue(hasattr(module, node.name), node.name)
                    for argument in node.args.args if words else []:
                        self.assertIn(argument.arg + (":" if argument.arg != "self" else ""), words, node.name)
        self.assertLessEqual(set(mfs.__all__), {getattr(node, "name", None) for node in hints.body})


if __name__ == "__main__":
    unittest.main()
