"""One tap on a photo to a mask of the tapped object.

    model = mfs.Model()                           # the shipped weights; share it between threads
    session = model.session()                     # one per thread
    mask = session.segment(image, [(214, 180)])   # uint8 height x width x 3 -> uint8 height x width, 255 = object
"""

from ._core import (Error, Model, Session, Status, blur_background, build_info, cut_out, overlay, shipped_weights,
                    version)

__all__ = ["Error", "Model", "Session", "Status", "blur_background", "build_info", "cut_out", "overlay",
           "shipped_weights", "version"]
__version__ = version()
