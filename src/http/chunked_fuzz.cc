// Chunked bodies of any bytes: however they are cut up at arrival, the same comes out, and never more than went in.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/chunked.h"

using namespace fivefold::http;

namespace {

struct Outcome {
  std::string body;
  std::size_t consumed = 0;
  bool done = false;
  bool failed = false;
  bool operator==(const Outcome&) const = default;
};

void require(bool holds) {
  if (!holds) std::abort();
}

void feed(ChunkedDecoder& decoder, std::string_view bytes, Outcome& outcome) {
  while (!bytes.empty() && !outcome.done && !outcome.failed) {
    const auto step = decoder.decode(bytes);
    if (!step) {
      outcome.failed = true;
      // How far it came depends on the cuts; what was handed out before does not.
      outcome.consumed = 0;
      return;
    }
    require(step->consumed > 0 && step->consumed <= bytes.size());
    require(step->data.empty() || (step->data.data() >= bytes.data() &&
                                   step->data.data() + step->data.size() == bytes.data() + step->consumed));
    require(step->done == decoder.done());
    outcome.body += step->data;
    outcome.consumed += step->consumed;
    outcome.done = step->done;
    bytes.remove_prefix(step->consumed);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const ChunkedDecoder::Limits limits{.extension = 64, .trailers = 64};
  ChunkedDecoder whole(limits);
  Outcome at_once;
  feed(whole, bytes, at_once);

  for (std::size_t cut = 0; cut <= size && cut < 300; ++cut) {
    ChunkedDecoder decoder(limits);
    Outcome cut_up;
    feed(decoder, bytes.substr(0, cut), cut_up);
    feed(decoder, bytes.substr(cut), cut_up);
    require(cut_up == at_once);
  }
  ChunkedDecoder decoder(limits);
  Outcome single;
  for (std::size_t i = 0; i < size; ++i) feed(decoder, bytes.substr(i, 1), single);
  require(single == at_once);
  return 0;
}
