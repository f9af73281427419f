#include "serve/loop_state.h"

#include <sys/random.h>

#include <ctime>

#include "http/date.h"
#include "serve/exchange_state.h"

namespace fivefold::serve {
namespace {

constexpr std::size_t kSpareStates = 256;  // kept by a loop

}  // namespace

LoopState::LoopState(exchange::World& w, Log& l, LineFile* access, Counters& c)
    : world(w), log(l), access_log(access), counters(c) {}

std::string_view DateLine::now() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &time);
  if (time.tv_sec != seconds_) {
    seconds_ = time.tv_sec;
    text_ = http::format_date(seconds_);
  }
  return text_;
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
  static constexpr char kHex[] = "0123456789abcdef";
  exchange::RequestId id;
  for (std::size_t half = 0; half < 2; ++half) {
    std::uint64_t bits = step();
    for (std::size_t i = 0; i < 16; ++i, bits >>= 4) id.hex[half * 16 + i] = kHex[bits & 15];
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
