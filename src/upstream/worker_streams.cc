#include "upstream/worker_streams.h"

#include <algorithm>
#include <utility>

#include "upstream/worker_stream_exchange.h"

namespace fivefold::upstream {
namespace {

constexpr std::size_t kFirstSlots = 16;
constexpr std::size_t kKeptRoom = 64 * 1024;  // of an empty `out_`

}  // namespace

// ---- StreamWaiter ----

void StreamWaiter::wake() {
  if (!handle_ || queued_) return;
  queued_ = true;
  streams_.ready_.push_back(this);
  if (!streams_.dispatching_) streams_.turn_soon();
}

StreamWaiter::Wait::~Wait() {
  waiter_.handle_ = nullptr;
  if (!std::exchange(waiter_.queued_, false)) return;
  auto& ready = waiter_.streams_.ready_;
  if (const auto at = std::ranges::find(ready, &waiter_); at != ready.end()) *at = nullptr;
}

// ---- WorkerStreams ----

// However the reader ends, and be it that the loop's background is cleared: nothing is left on the channel.
class WorkerStreams::AtEnd {
 public:
  explicit AtEnd(WorkerStreams& streams) : streams_(streams) {}
  AtEnd(const AtEnd&) = delete;
  ~AtEnd() {
    streams_.closed_ = true;
    streams_.reading_ = false;
    streams_.writer_ = {};
    streams_.stream_.reset();
    streams_.drop_all();
  }

 private:
  WorkerStreams& streams_;
};

WorkerStreams::WorkerStreams(net::Loop& loop, UniqueFd fd, std::size_t head_limit)
    : loop_(loop),
      stream_(std::make_unique<net::Stream>(loop, std::move(fd), kBuffer, kLargestBuffer)),
      reader_(head_limit),
      slots_(kFirstSlots) {}

void WorkerStreams::close() {
  if (std::exchange(closed_, true)) return;
  if (reading_) return stream_->interrupt();
  stream_.reset();
}

std::uint32_t WorkerStreams::enter(const std::shared_ptr<StreamExchange>& exchange, exchange::World& world) {
  if (2 * ++taken_ > slots_.size()) grow();
  do {
    ++last_number_;
  } while (last_number_ == 0 || slot(last_number_).number != 0);
  slot(last_number_) = {last_number_, exchange};
  if (!std::exchange(reading_, true)) world.background.start(read(shared_from_this()));
  return last_number_;
}

void WorkerStreams::leave(std::uint32_t number) {
  Slot& place = slot(number);
  if (place.number != number) return;
  --taken_;
  place.number = 0;
  place.exchange.reset();
}

void WorkerStreams::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  for (auto& each : old)
    if (each.number != 0) slot(each.number) = std::move(each);
}

void WorkerStreams::drop_all() {
  std::vector<Slot> all(kFirstSlots);
  all.swap(slots_);
  taken_ = 0;
  for (const auto& each : all)
    if (each.exchange) each.exchange->drop();
}

// ---- from the worker ----

net::Task<void> WorkerStreams::read(std::shared_ptr<WorkerStreams> self) {
  WorkerStreams& streams = *self;
  const AtEnd end(streams);
  while (!streams.closed_) {
    auto got = co_await streams.stream_->fill();
    if (streams.closed_) break;
    if (got ? *got == 0 : got.error().code != Code::timed_out) {
      streams.lose({Code::program_failed, "The worker ended."},
                   !got && got.error().code == Code::closed ? Why::reset : Why::ended);
    } else {
      streams.take();
    }
    streams.resume_ready();
    if (!streams.closed_ && streams.stream_->buffered().empty()) streams.stream_->adapt();
  }
}

// Everything that has come, to whom it is for. Each of them has room for all that its window allows.
void WorkerStreams::take() {
  dispatching_ = true;
  while (!closed_) {
    const auto piece = reader_.read(stream_->buffered());
    if (!piece) {
      lose(piece.error(), Why::nonsense);
      break;
    }
    if (piece->consumed == 0) break;
    const Slot& place = slot(piece->stream);
    if (piece->stream != 0 && place.number == piece->stream) {  // else: of a request that is over
      const auto exchange = place.exchange;
      if (auto taken = exchange->take(*piece); !taken) lose(taken.error(), Why::nonsense, exchange.get());
    }
    stream_->consume(piece->consumed);
  }
  dispatching_ = false;
}

// Nothing comes from the worker any more, or what comes is not to be trusted: `guilty` is whose frames were nonsense,
// or who did not end in time.
void WorkerStreams::lose(const Error& error, Why why, const StreamExchange* guilty) {
  using Loss = StreamExchange::Loss;
  closed_ = true;
  std::vector<Slot> all(kFirstSlots);
  all.swap(slots_);
  const bool alone = std::exchange(taken_, 0) == 1;
  bool kill = why == Why::nonsense;
  for (const auto& each : all) {
    if (!each.exchange) continue;
    if (guilty && each.exchange.get() != guilty)
      each.exchange->lost({Code::program_failed, "The worker had to be ended because of another request on it."},
                          Loss::died);
    else
      each.exchange->lost(error, std::exchange(kill, false)   ? Loss::kill
                                 : why == Why::reset && alone ? Loss::reset
                                                              : Loss::died);
  }
}

void WorkerStreams::kill(StreamExchange& guilty, const Error& error) {
  if (closed_) return;
  lose(error, Why::nonsense, &guilty);
  if (reading_) stream_->interrupt();
}

void WorkerStreams::resume_ready() {
  for (std::size_t i = 0; i < ready_.size(); ++i) {
    StreamWaiter* const waiter = std::exchange(ready_[i], nullptr);
    if (!waiter) continue;
    waiter->queued_ = false;
    std::exchange(waiter->handle_, nullptr).resume();
  }
  ready_.clear();
}

// ---- to the worker ----

void WorkerStreams::turn_soon() {
  if (std::exchange(turn_posted_, true)) return;
  loop_.post([self = shared_from_this()] { self->turn(); });
}

void WorkerStreams::turn() {
  turn_posted_ = false;
  if (!closed_ && !writing_ && write_now() && sent_ < out_.size()) {
    writing_ = true;
    writer_ = net::Running(write_rest());
  }
  resume_ready();
}

// As far as the kernel takes it. False: the worker is gone, which whoever reads hears of.
bool WorkerStreams::write_now() {
  while (sent_ < out_.size() && !deaf_) {
    const iovec rest{out_.data() + sent_, out_.size() - sent_};
    const auto written = stream_->write_some({&rest, 1});
    deaf_ = !written;
    if (deaf_ || *written == 0) break;
    sent_ += *written;
    left_ += *written;
  }
  if (deaf_) return false;
  if (sent_ == out_.size()) {
    out_.clear();
    if (out_.capacity() > kKeptRoom) out_.shrink_to_fit();
    sent_ = 0;
  } else if (sent_ > kMostUnsent) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
  return true;
}

net::Task<void> WorkerStreams::write_rest() {
  while (sent_ < out_.size()) {
    auto ready = co_await stream_->writable();
    if (!ready || !write_now()) break;
  }
  writing_ = false;
  for (const auto& each : slots_)
    if (each.exchange) each.exchange->room();
}

}  // namespace fivefold::upstream
