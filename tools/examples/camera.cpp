// camera WEIGHTS WIDTH HEIGHT X Y: raw RGB frames on standard input; one line per mask on standard output. For example:
//   ffmpeg -f v4l2 -i /dev/video0 -f rawvideo -pix_fmt rgb24 -video_size 640x480 - | camera WEIGHTS 640 480 320 240
// A mask takes longer than a frame lasts. So that the mask shown is never older than that, the engine always gets the latest
// frame, and the frames that came in between are dropped, not queued.
#include <algorithm>
#include <condition_variable>
#include <iostream>
#include <mfs/mfs.hpp>
#include <mutex>
#include <optional>
#include <thread>

struct Frame {
  long number = 0;
  std::vector<std::uint8_t> rgb;
};

// Holds one frame, the newest that nobody has taken yet.
class LatestFrame {
 public:
  // Swaps the buffers, so that neither side allocates once the first frames are through.
  void put(Frame& frame) {
    const std::lock_guard lock(mutex_);
    std::swap(frame, frame_);
    fresh_ = true;
    changed_.notify_one();
  }
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
  }
  // Waits for a frame; false when there are no more.
  bool take(Frame& frame) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return fresh_ || ended_; });
    if (!fresh_) return false;
    std::swap(frame, frame_);
    fresh_ = false;
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Frame frame_;
  bool fresh_ = false, ended_ = false;
};

int main(int argc, char** argv) try {
  if (argc != 6) return std::cerr << "usage: camera WEIGHTS WIDTH HEIGHT X Y\n", 2;
  const int width = std::stoi(argv[2]), height = std::stoi(argv[3]);
  if (width < 1 || height < 1) return std::cerr << "WIDTH and HEIGHT must be above 0\n", 2;
  const std::vector<mfs::Point> taps{{std::stof(argv[4]), std::stof(argv[5])}};
  const mfs::Model model(argv[1]);
  mfs::Session session(model);

  const std::size_t size = std::size_t(3) * width * height;
  LatestFrame latest;
  std::jthread camera([&](std::stop_token stop) {
    Frame frame;
    for (long number = 0; !stop.stop_requested(); ++number) {
      frame.rgb.resize(size);
      if (!std::cin.read(reinterpret_cast<char*>(frame.rgb.data()), std::streamsize(size))) break;
      frame.number = number;
      latest.put(frame);
    }
    latest.end();
  });

  Frame frame;
  std::vector<std::uint8_t> mask(std::size_t(width) * height);
  mfs_outputs outputs{};
  outputs.struct_size = sizeof outputs;
  outputs.mask = mask.data();
  while (latest.take(frame)) {
    session.run({frame.rgb.data(), width, height, 0, MFS_RGB}, taps, outputs);
    const auto area = std::count(mask.begin(), mask.end(), 255);
    std::cout << "frame " << frame.number << ": " << area << " pixels" << std::endl;
  }
} catch (const std::exception& error) {
  return std::cerr << error.what() << '\n', 1;
}
