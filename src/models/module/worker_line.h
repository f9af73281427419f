#pragma once
// Requests of one program, on one event loop, that find no idle worker. Those that wait may be sent ahead, to stand
// behind a request that a worker is at: it then goes on to them without a turn of the server's in between, which under
// load is most of what a short request costs. They keep their places in the pool's queue meanwhile, and the worker that
// is free first gets them: sent ahead is only what can be taken back (upstream/worker_claims.h). So nothing waits for a
// slow script that would not have waited anyway.
//
//     request ──try_lease──> none is idle ──WaitingRequest──┬── the pool gives a lease ──> taken back, sent there
//                                                           └── the request before it has ended ──> the same lease
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/module/module_program.h"
#include "net/loop.h"
#include "process/pool.h"
#include "upstream/worker_exchange.h"

namespace fivefold::models::module {

class WaitingRequest;

// Used on its loop only.
class WorkerLine {
 public:
  // Requests behind the one that a worker is at. More are sent when so many are left, so that several wake it once.
  static constexpr std::size_t kAhead = 7;
  static constexpr std::size_t kRefill = 3;
  static_assert(kAhead <= gateway::worker::kMostAhead);
  // Nothing is sent behind a request that has taken longer than this, nor while that is the average.
  static constexpr std::chrono::microseconds kShort{10'000};
  // Then a worker goes back to the pool, where other loops' requests may have waited longer.
  static constexpr unsigned kInARow = 32;

  explicit WorkerLine(net::Loop& loop) : loop_(loop) {}

  // A request that has been given a worker by the pool is about to be sent there.
  void begins(upstream::WorkerChannel& channel);
  // It has been sent: others may follow.
  void sent(upstream::WorkerChannel& channel);
  // It has ended. The lease goes to the request behind it, or back to the pool. With `goes_on` the worker takes more
  // requests.
  void ended(upstream::WorkerChannel& channel, std::unique_ptr<process::Lease> lease, bool goes_on);

 private:
  friend class WaitingRequest;

  // A request that has been sent ahead.
  struct Ahead {
    WaitingRequest* waiting = nullptr;  // null: its client has left
    std::shared_ptr<upstream::WorkerExchange> exchange;
    std::shared_ptr<const ModuleProgram> program;
    std::string id, what;  // once its client has left
  };
  // One that answers requests of this loop.
  struct Worker {
    upstream::WorkerChannel* channel = nullptr;
    net::TimePoint since{};  // when it came to the request that it is at
    unsigned in_a_row = 1;
    std::list<std::shared_ptr<Ahead>> ahead;  // as they were sent
  };

  void join(WaitingRequest& waiting);
  void leave(WaitingRequest& waiting);
  // False: the worker has begun it; its answer comes, and its lease.
  bool take_back(WaitingRequest& waiting);
  std::vector<Worker>::iterator find(const upstream::WorkerChannel& channel);
  bool has_room(const Worker& worker, net::TimePoint now) const;
  void fill(Worker& worker, net::TimePoint now);
  // Whether requests that were sent ahead are behind a slow one: whoever is free shall have them.
  bool any_held_up(const Worker& but, net::TimePoint now) const;
  void pass_on(upstream::WorkerChannel& channel, std::unique_ptr<process::Lease> lease, std::shared_ptr<Ahead> ahead);

  net::Loop& loop_;
  std::vector<Worker> workers_;
  std::list<WaitingRequest*> unsent_;  // the oldest first
  std::chrono::nanoseconds average_{0};
};

// One request while it waits for a worker.
class WaitingRequest {
 public:
  // Sends the request ahead over this channel; null when it cannot be, now or ever.
  using SendAhead = std::function<std::shared_ptr<upstream::WorkerExchange>(upstream::WorkerChannel&)>;

  // `body` gets the request's body back when it was sent ahead and taken back. What `wish` views, and `body`, outlive
  // this.
  WaitingRequest(std::shared_ptr<const ModuleProgram> program, WorkerLine& line, net::Loop& loop,
                 process::LeaseWish wish, exchange::Body& body, SendAhead send);
  ~WaitingRequest();
  WaitingRequest(const WaitingRequest&) = delete;

  struct Turn {
    std::unique_ptr<process::Lease> lease;
    std::shared_ptr<upstream::WorkerExchange> sent;  // ahead, to the worker of this lease; null: not sent yet
  };
  // Waits for a worker. Errors: Pool::lease()'s; Code::program_failed when the worker ended that had begun it.
  net::Task<Result<Turn>> turn();
  // The worker has ended that had begun it.
  bool was_lost() const { return lost_; }

 private:
  friend class WorkerLine;
  net::Task<void> wait_in_pool();

  std::shared_ptr<const ModuleProgram> program_;
  WorkerLine& line_;
  net::Loop& loop_;
  process::LeaseWish wish_;
  exchange::Body& body_;
  SendAhead send_;
  std::optional<std::list<WaitingRequest*>::iterator> unsent_at_;
  std::shared_ptr<WorkerLine::Ahead> ahead_;
  std::optional<Result<std::unique_ptr<process::Lease>>> from_pool_;
  bool in_pool_ = false;  // in its queue
  std::unique_ptr<process::Lease> handed_;
  bool lost_ = false;
  net::Event decided_;
  net::Running pool_wait_;  // last: destroyed before what it uses
};

}  // namespace fivefold::models::module
