#include "upstream/h2c_call.h"

#include <algorithm>

#include "upstream/h2_exchange.h"

namespace fivefold::upstream {

// Outlives the connection object for what is posted and for calls that are let go of late.
struct H2Connection::State {
  std::shared_ptr<H2Session> current;
  std::list<Wakeup*> waiting;  // for room, or for the session that is being opened; the longest first
  bool opening = false;
  std::optional<Error> failure;  // of the last opening
  std::uint64_t failures = 0;

  void wake_one() {
    if (!waiting.empty()) waiting.front()->set();
  }
  void wake_all() {
    for (auto* wakeup : waiting) wakeup->set();
  }
};

namespace {

// Whoever opens the session; when it is let go of half way, somebody else has to.
template <class State>
struct Opening {
  explicit Opening(std::shared_ptr<State> s) : state(std::move(s)) { state->opening = true; }
  Opening(const Opening&) = delete;
  ~Opening() {
    state->opening = false;
    state->wake_all();
  }
  std::shared_ptr<State> state;
};

template <class State>
struct Waiting {
  Waiting(std::shared_ptr<State> s, net::Loop& loop) : state(std::move(s)), wakeup(loop) {
    state->waiting.push_back(&wakeup);
  }
  Waiting(const Waiting&) = delete;
  ~Waiting() {
    const bool woken = wakeup.is_set();
    state->waiting.remove(&wakeup);
    if (woken) state->wake_one();  // let go of between being woken and going on: the next one's turn
  }
  std::shared_ptr<State> state;
  Wakeup wakeup;
};

}  // namespace

H2Connection::H2Connection(Connections& home, H2Limits limits)
    : home_(home), limits_(limits), state_(std::make_shared<State>()) {}

H2Connection::~H2Connection() = default;

void H2Connection::close_idle() { state_->current.reset(); }

void H2Connection::stream_ended() { state_->wake_one(); }

net::Task<Result<std::shared_ptr<H2Session>>> H2Connection::session(net::TimePoint until) {
  while (true) {
    if (state_->current && !state_->current->takes_streams()) state_->current.reset();
    if (state_->current && state_->current->room() > 0) {
      if (state_->current->room() > 1) state_->wake_one();
      co_return state_->current;
    }
    if (!state_->current && !state_->opening) {
      Opening<State> opening(state_);
      std::weak_ptr<State> weak = state_;
      auto opened = co_await H2Session::open(home_, limits_, [weak](const H2Session* session) {
        const auto state = weak.lock();
        if (!state) return;
        if (state->current.get() == session) state->current.reset();
        state->wake_all();
      });
      if (!opened) {
        state_->failure = opened.error();
        ++state_->failures;
        co_return std::unexpected(std::move(opened.error()));
      }
      state_->current = std::move(*opened);
      continue;
    }
    Waiting<State> waiting(state_, home_.loop());
    const auto failures = state_->failures;
    const bool woken = co_await waiting.wakeup.wait(until);
    if (state_->failures != failures) co_return std::unexpected(*state_->failure);  // the one that was waited for
    if (!woken)
      co_return fail(Code::program_timeout, "The application at " + home_.endpoint().text() +
                                                " had no room for another request at once in time.");
  }
}

net::Task<CallResult> call_h2c(H2Connection& connection, Call call, OutgoingHead head) {
  auto exchange = std::make_unique<H2Exchange>(connection, std::move(call));
  auto sent = co_await exchange->send(head);
  if (!sent) co_return std::unexpected(exchange->failure(std::move(sent.error())));
  auto received = co_await exchange->receive();
  if (!received) co_return std::unexpected(exchange->failure(std::move(received.error())));
  co_return H2Exchange::answer(std::move(exchange));
}

}  // namespace fivefold::upstream
