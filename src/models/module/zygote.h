#pragma once
// One zygote: the process that holds a started interpreter and forks workers from it (gateway/worker_protocol.h).
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/line_file.h"
#include "gateway/worker_protocol.h"
#include "net/channel.h"
#include "net/stream.h"
#include "process/child.h"
#include "process/output_lines.h"
#include "upstream/worker_claims.h"

namespace fivefold::models::module {

class WorkerChild;

// What its start comes to, told to the journeys of all workers that wait for it.
class StartStory {
 public:
  virtual ~StartStory() = default;
  virtual void step(std::string name, std::string note) = 0;
  virtual void output(std::string_view bytes) = 0;
};

// On the home loop. Letting go of it ends the process and all of its workers, so workers share it.
class Zygote : public std::enable_shared_from_this<Zygote> {
 public:
  static constexpr std::size_t kOutputBuffer = 4096;
  static constexpr std::size_t kLargestOutputBuffer = 65536;
  static constexpr std::chrono::milliseconds kLastOutput{200};  // how long the last words of a failed start are awaited
  static constexpr std::chrono::milliseconds kLastWords{1000};  // of workers that were forked within it of one another
  static constexpr std::chrono::milliseconds kOrphanLook{20};   // whether a worker lives whose zygote does not

  // `log` is the program's; it and `home` outlive this.
  Zygote(net::Loop& home, LineFile& log, std::string program);
  ~Zygote();
  Zygote(const Zygote&) = delete;

  // Starts the process and waits until it is ready. `plan` has neither streams nor the control socket. Errors:
  // Code::program_failed, Code::program_unavailable; how it ended is in exit_status(), if it has. `story` is not told
  // any more once this has returned or is let go of.
  net::Task<Result<void>> start(process::Spawner& spawner, process::SpawnPlan plan, std::chrono::milliseconds timeout,
                                StartStory& story);

  struct Worker {
    std::unique_ptr<WorkerChild> child;
    std::vector<UniqueFd> channels;  // one for each event loop
    std::unique_ptr<upstream::WorkerClaims> claims;
  };
  // Code::program_failed when it cannot fork, or ends.
  net::Task<Result<Worker>> fork(std::uint32_t id, unsigned channels);

  bool alive() const { return ready_ && control_ != nullptr; }
  const std::string& version() const { return version_; }  // "PHP 8.2.29"
  pid_t pid() const { return child_ ? child_->pid() : 0; }
  const std::optional<process::ExitStatus>& exit_status() const { return exit_; }
  const std::string& output_tail() const { return tail_; }  // once it is ready, of its workers

  // Once, when it has ended by itself after it was ready.
  void on_end(std::function<void(std::string how)> callback) { ended_ = std::move(callback); }

 private:
  friend class WorkerChild;
  struct Output;
  struct Pending;
  void heard(std::string_view message, std::vector<UniqueFd> fds);
  void started(std::uint32_t id, pid_t pid, std::vector<UniqueFd> fds);
  void control_closed();
  void signal(std::uint32_t id, int number);
  void tell(gateway::worker::Control kind, std::uint32_t id, std::int32_t value, std::span<const int> fds = {});
  net::Task<void> read_output(Output& output);
  net::Task<void> watch_exit();
  net::Task<void> tell_end();
  void watch_orphans();
  static void look_for_orphans(void* self);

  net::Loop& home_;
  LineFile& log_;
  std::string program_;
  std::string version_;
  std::string tail_;
  net::TimePoint last_fork_{};
  StartStory* story_ = nullptr;
  bool ready_ = false;
  bool gone_ = false;  // its end has been told
  std::optional<process::ExitStatus> exit_;
  std::function<void(std::string)> ended_;
  net::Event news_;  // ready, or gone, while it starts
  std::map<std::uint32_t, Pending*> pending_;
  std::map<std::uint32_t, WorkerChild*> workers_;
  std::unique_ptr<process::Child> child_;
  std::unique_ptr<net::Channel> control_;
  std::vector<std::unique_ptr<Output>> outputs_;
  int open_outputs_ = 0;
  net::Timer orphan_timer_;
  net::Running exit_watch_;
  net::Running end_watch_;
};

// A worker's process, forked by the zygote and reaped by it. When the zygote is gone, the worker is asked to leave by
// the end of its channels, and its end is seen but not its status.
class WorkerChild final : public process::Child {
 public:
  WorkerChild(std::shared_ptr<Zygote> zygote, net::Loop& home, std::uint32_t id, pid_t pid);
  // A worker that lives is killed: whoever ends one in order signals it and waits.
  ~WorkerChild() override;
  pid_t pid() const override { return pid_; }
  const std::optional<process::ExitStatus>& exit_status() const override { return exit_; }
  net::Event& exited() override { return exited_; }
  void signal(int number) override;
  void set_grace(std::chrono::milliseconds) override {}

  const std::string& output_tail() const { return zygote_->output_tail(); }

  // How its channels are ended.
  void on_orphan_told_to_leave(std::function<void()> callback) { leave_ = std::move(callback); }

 private:
  friend class Zygote;
  void set_exit(process::ExitStatus status);
  std::shared_ptr<Zygote> zygote_;
  std::uint32_t id_;
  pid_t pid_;
  UniqueFd orphan_;  // its pidfd, once the zygote is gone
  std::optional<process::ExitStatus> exit_;
  net::Event exited_;
  std::function<void()> leave_;
};

}  // namespace fivefold::models::module
