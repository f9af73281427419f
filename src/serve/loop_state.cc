#include "serve/loop_state.h"

#include <sys/random.h>

#include <ctime>

#include "http/date.h"
#include "serve/exchange_state.h"

namespace fivefold::serve {
namespace {

constexpr std::size_t kSpareStates = 256;  // kept by a loop

constexpr auto kHexPairs = [] {
  constexpr char kHex[] = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> pairs{};
  for (std::size_t byte = 0; byte < 256; ++byte) pairs[byte] = {kHex[byte >> 4], kHex[byte & 15]};
  return pairs;
}();

}  // namespace

LoopState::LoopState(exchange::World& w, Log& l, LineFile* access, Counters& c)
    : world(w), log(l), access_log(access), counters(c) {}

std::int64_t CommonFields::unix_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &time);
  return time.tv_sec;
}

const http::Headers& CommonFields::now(std::string_view server) {
  const std::int64_t seconds = unix_seconds();
  if (seconds != seconds_ || server != server_) {
    seconds_ = seconds;
    server_ = server;
    headers_ = {};
    headers_.add("Date", http::format_date(seconds));
    if (!server.empty()) headers_.add("Server", server);
  }
  return headers_;
}

RequestIds::RequestIds() {
  if (::getrandom(state_, sizeof state_, 0) != sizeof state_) {
    state_[0] = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
    state_[1] = reinterpret_cast<std::uintptr_t>(this);
  }
  state_[1] |= 1;
}

// xoroshiro128+: ids must be distinct, not secret.
std::uint64_t RequestIds::step() {
  const auto rotate = [](std::uint64_t value, int by) { return (value << by) | (value >> (64 - by)); };
  const std::uint64_t result = state_[0] + state_[1];
  state_[1] ^= state_[0];
  state_[0] = rotate(state_[0], 24) ^ state_[1] ^ (state_[1] << 16);
  state_[1] = rotate(state_[1], 37);
  return result;
}

exchange::RequestId RequestIds::next() {
  exchange::RequestId id;
  for (std::size_t half = 0; half < 2; ++half) {
    std::uint64_t bits = step();
    for (std::size_t i = 0; i < 16; i += 2, bits >>= 8)
      std::memcpy(&id.hex[half * 16 + i], kHexPairs[bits & 255].data(), 2);
  }
  return id;
}

LoopState::~LoopState() = default;

std::unique_ptr<ExchangeState> LoopState::take_state() {
  if (spare.empty()) return std::make_unique<ExchangeState>(world);
  auto state = std::move(spare.back());
  spare.pop_back();
  return state;
}

void LoopState::give_back(std::unique_ptr<ExchangeState> state) {
  if (!state || spare.size() >= kSpareStates) return;
  state->clear();
  state->site.reset();
  if (state->output.capacity() > 65536) state->output = {};
  spare.push_back(std::move(state));
}

}  // namespace fivefold::serve
