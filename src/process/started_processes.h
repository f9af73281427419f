#pragma once
// Every process that the spawning helper has started and not yet reaped: how they exit, are let go of, are ended; and
// the orphans that they leave behind.
#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/unique_fd.h"
#include "process/cgroup_pool.h"
#include "process/event_poll.h"
#include "process/program_table.h"
#include "process/spawn_protocol.h"

namespace fivefold::process {

// What the helper holds of a process that does not end with its client.
struct Kept {
  std::string text;
  std::vector<UniqueFd> fds;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::optional<ExitedMessage> exit = {};  // once it has exited
};

struct NewProcess {
  std::uint64_t id = 0;      // the client's name for it
  std::uint64_t client = 0;  // token; 0: a kept process that nobody owns
  pid_t pid = 0;             // also its group's and session's id: reserved until the process is reaped
  UniqueFd pidfd;
  std::unique_ptr<CgroupFolder> cgroup;  // null when it has none
  std::unique_ptr<Kept> kept;            // null when it ends with its client
};

struct ProcessExit {
  std::uint64_t client = 0;  // token
  ExitedMessage message;
};

// For a process that has one thread and is the subreaper of its descendants. Processes are named by tokens of
// `events`; a token holds from add() to release(). Cgroup folders go back to `programs`. Both outlive this.
class StartedProcesses {
 public:
  StartedProcesses(EventPoll& events, ProgramTable& programs) : events_(events), programs_(programs) {}

  // Begins to watch for orphans; the event is kOrphanToken. False with errno.
  bool open();

  // The process's token, which from now on is the event of its exit. When it cannot be watched: an errno, and the
  // process has been killed and reaped.
  std::expected<std::uint64_t, int> add(NewProcess process);
  // Whether an event with this token is the exit of a process, released ones included.
  bool contains(std::uint64_t token) const { return processes_.contains(token); }
  // To be called at that event. What its client is to be told; nothing when it has released the process or nobody owns
  // it. It stays a zombie until released: so long nobody else can get its pid or its group's.
  std::optional<ProcessExit> exited(std::uint64_t token);
  // To its whole group.
  void signal(std::uint64_t token, int number);
  // Nobody is interested in it any more: its group is ended, TERM and after `grace` KILL (at once when 0), and reaped.
  void release(std::uint64_t token, std::chrono::milliseconds grace);

  // Null for one that is not kept. Until it is released.
  const Kept* kept(std::uint64_t token) const { return processes_.at(token).kept.get(); }
  std::size_t kept_count() const { return kept_count_; }
  pid_t pid(std::uint64_t token) const { return processes_.at(token).pid; }
  // Whom its exit is told from now on, and under which id; client 0 is nobody. For a kept one.
  void belongs_to(std::uint64_t token, std::uint64_t client, std::uint64_t id);

  // To be called at the event kOrphanToken.
  void orphans_ended();
  // When look() has something to do next; negative is never.
  std::chrono::milliseconds timeout() const;
  // Goes on with what is due: processes being ended, orphans to be reaped.
  void look();

  // Kills all of them and all their descendants, released or not. May give up after a moment.
  void end_everything();

 private:
  using Clock = std::chrono::steady_clock;
  struct Process : NewProcess {
    bool exited = false;  // the pidfd is closed then
    bool killed = false;
    bool released = false;
    Clock::time_point kill_at{};  // when released
  };

  static void kill_now(Process& process);
  bool try_finish(std::uint64_t token, Process& process);
  void look_at_ending();
  void watch_unseen();
  void reap_orphans();

  EventPoll& events_;
  ProgramTable& programs_;
  const pid_t pid_ = ::getpid();
  UniqueFd orphans_;  // a signalfd for SIGCHLD
  std::unordered_map<std::uint64_t, Process> processes_;
  std::size_t kept_count_ = 0;         // not released
  std::vector<std::uint64_t> ending_;  // released, not yet gone
  Clock::time_point ending_due_{};
  std::vector<std::uint64_t> unseen_;  // have ended, but are traced by somebody and so not ours to see yet
  Clock::time_point unseen_due_{};
  std::optional<Clock::time_point> orphan_sweep_due_;
};

}  // namespace fivefold::process
