#!/bin/sh
# From a fresh Debian 12 to masks of the demo photos: installs what is missing, builds, runs. Results: build/demo/.
set -eu
cd "$(dirname "$0")/.."

tools/install_packages.sh cmake ninja-build g++ libdnnl-dev nlohmann-json3-dev libcli11-dev libstb-dev zlib1g-dev

cmake --preset release -DMFS_TESTS=OFF
cmake --build build --target mfs_infer mfs_eval

demo=tools/demo
out=build/demo
mkdir -p "$out"
build/bin/mfs_infer "$demo/cat.jpg" "$demo/coffee.jpg" "$demo/rocket.jpg" "$demo/astronaut.jpg" --clicks "$demo/clicks.json" \
  --zoom-in --refine -o "$out" --cutout "$out" --blur "$out" --overlay "$out" --overwrite
# The same photo, another tap, another object.
build/bin/mfs_infer "$demo/astronaut.jpg" --click 415,165 --zoom-in --refine -o "$out/shuttle.mask.png" \
  --cutout "$out/shuttle.cutout.png" --blur "$out/shuttle.blur.jpg" --overlay "$out/shuttle.overlay.jpg" --overwrite

cat <<END

Look at $out/:
  NAME.mask.png     white = the tapped object
  NAME.cutout.png   the object alone, on a transparent background
  NAME.blur.jpg     the background out of focus
  NAME.overlay.jpg  the photo with the object tinted and the tap drawn in
NAME is cat, coffee, rocket, astronaut, and shuttle: the last two are one photo with two taps.
END
