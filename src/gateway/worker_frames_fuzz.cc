// Any bytes from a worker, cut in any way: the same frames and the same verdict as in one piece, every view lies within
// what was fed, and no content is longer than its kind allows.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/worker_frames.h"

using fivefold::gateway::WorkerFrameReader;
namespace worker = fivefold::gateway::worker;

namespace {

constexpr std::size_t kHeadLimit = 64;

void require(bool condition) {
  if (!condition) std::abort();
}

std::string read_in_pieces(std::string_view bytes, std::size_t step) {
  WorkerFrameReader reader(kHeadLimit);
  std::string told;
  std::size_t consumed = 0, fed = 0, content = 0;
  while (true) {
    const auto window = bytes.substr(consumed, fed - consumed);
    const auto piece = reader.read(window);
    if (!piece) return told + "!" + piece.error().message;
    require(piece->consumed <= window.size());
    if (piece->consumed == 0) {
      if (fed == bytes.size()) return told + (reader.between_frames() ? "." : "...");
      fed = std::min(bytes.size(), fed + step);
      continue;
    }
    require(piece->bytes.empty() || (piece->bytes.data() >= window.data() &&
                                     piece->bytes.data() + piece->bytes.size() <= window.data() + window.size()));
    consumed += piece->consumed;
    if (piece->begins) {
      content = 0;
      told += "[" + std::to_string(static_cast<int>(piece->kind)) + "/" + std::to_string(piece->flags) + "/" +
              std::to_string(piece->stream) + ":";
    }
    content += piece->bytes.size();
    require(content <= worker::kMostOutput);
    if (piece->kind == worker::Frame::head) require(content <= kHeadLimit);
    if (piece->kind == worker::Frame::want) require(piece->whole && piece->bytes.size() == 4);
    told += piece->bytes;
    if (piece->whole) told += "]";
    require(reader.between_frames() == piece->whole);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  require(read_in_pieces(bytes, bytes.size() + 1) == read_in_pieces(bytes, 1 + data[0] % 16));
  return 0;
}
