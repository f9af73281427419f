// Any bytes from an application, cut in any way: the same output, errors and verdict as in one piece, and every view
// lies within what was fed.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/fastcgi.h"

using fivefold::gateway::FastcgiReader;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

bool within(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

struct Told {
  std::string output, error_output, verdict;
  std::size_t consumed = 0;
  bool operator==(const Told&) const = default;
};

Told read_in_pieces(std::string_view bytes, std::size_t step) {
  FastcgiReader reader(1);
  Told told;
  std::size_t fed = 0;
  while (true) {
    const auto window = bytes.substr(told.consumed, fed - told.consumed);
    const auto read = reader.read(window);
    if (!read) {
      told.verdict = read.error().message;
      return told;
    }
    require(read->consumed <= window.size());
    require(within(read->output, window) && within(read->error_output, window));
    told.consumed += read->consumed;
    told.output.append(read->output);
    told.error_output.append(read->error_output);
    if (read->ended) {
      const auto outcome = reader.outcome();
      told.verdict = outcome ? "ended with " + std::to_string(*outcome) : outcome.error().message;
      return told;
    }
    if (read->consumed > 0) continue;
    if (fed == bytes.size()) return told;
    fed = std::min(bytes.size(), fed + step);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto whole = read_in_pieces(bytes, bytes.size() + 1);
  auto pieces = read_in_pieces(bytes, 1 + data[0] % 16);
  require(whole.output == pieces.output && whole.error_output == pieces.error_output);
  require(whole.verdict == pieces.verdict);
  return 0;
}
