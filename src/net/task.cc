#include "net/task.h"

#include <array>
#include <cstdlib>
#include <new>

namespace fivefold::net {
namespace {

constexpr std::size_t kGranularity = 64;
constexpr std::size_t kClasses = 32;  // frames up to 2 KiB are kept for reuse
constexpr std::size_t kKeptPerClass = 256;

struct FreeFrame {
  FreeFrame* next;
};

struct FrameCache {
  std::array<FreeFrame*, kClasses> first{};
  std::array<std::size_t, kClasses> count{};
  ~FrameCache() {
    for (FreeFrame* frame : first)
      while (frame) {
        FreeFrame* next = frame->next;
        std::free(frame);
        frame = next;
      }
  }
};

thread_local FrameCache cache;

constexpr std::size_t class_of(std::size_t size) { return (size + kGranularity - 1) / kGranularity - 1; }

}  // namespace

void* allocate_frame(std::size_t size) {
  const std::size_t index = class_of(size);
  if (index < kClasses && cache.first[index]) {
    FreeFrame* frame = cache.first[index];
    cache.first[index] = frame->next;
    --cache.count[index];
    return frame;
  }
  void* frame = std::malloc(index < kClasses ? (index + 1) * kGranularity : size);
  if (!frame) throw std::bad_alloc();
  return frame;
}

void free_frame(void* frame, std::size_t size) noexcept {
  const std::size_t index = class_of(size);
  if (index >= kClasses || cache.count[index] >= kKeptPerClass) {
    std::free(frame);
    return;
  }
  auto* kept = static_cast<FreeFrame*>(frame);
  kept->next = cache.first[index];
  cache.first[index] = kept;
  ++cache.count[index];
}

}  // namespace fivefold::net
