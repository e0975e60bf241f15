// segment WEIGHTS PHOTO.ppm X Y MASK.pgm: one tap, one mask.
#include <fstream>
#include <iostream>
#include <mfs/mfs.hpp>

int main(int argc, char** argv) try {
  if (argc != 6) return std::cerr << "usage: segment WEIGHTS PHOTO.ppm X Y MASK.pgm\n", 2;
  std::ifstream photo(argv[2], std::ios::binary);
  std::string magic;
  int width = 0, height = 0, white = 0;
  photo >> magic >> width >> height >> white;
  if (!photo || magic != "P6" || white != 255) return std::cerr << argv[2] << " is not a binary 8-bit PPM\n", 1;
  std::vector<char> rgb(std::size_t(3) * width * height);
  if (!photo.ignore(1).read(rgb.data(), std::streamsize(rgb.size()))) return std::cerr << argv[2] << " is too short\n", 1;

  const mfs::Model model(argv[1]);  // immutable: share it between threads
  mfs::Session session(model);      // one per thread
  const mfs::Image image{reinterpret_cast<const std::uint8_t*>(rgb.data()), width, height, 0, MFS_RGB};
  const std::vector<mfs::Point> taps{{std::stof(argv[3]), std::stof(argv[4])}};
  const mfs::Mask mask = session.segment(image, taps);

  std::ofstream out(argv[5], std::ios::binary);
  out << "P5 " << mask.width << ' ' << mask.height << " 255\n";
  out.write(reinterpret_cast<const char*>(mask.pixels.data()), std::streamsize(mask.pixels.size()));
  return out.flush() ? 0 : (std::cerr << "cannot write " << argv[5] << '\n', 1);
} catch (const std::exception& error) {
  return std::cerr << error.what() << '\n', 1;
}
