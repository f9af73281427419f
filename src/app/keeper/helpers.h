#pragma once
// The spawning helpers: how many, started, restarted, told what programs run as, connected to the servers' loops.
#include <poll.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "app/keeper/accounts.h"
#include "app/keeper/log_files.h"
#include "base/error.h"
#include "base/unique_fd.h"

namespace fivefold::app {

// [server] spawners, or one per two cores, at least one.
unsigned helper_count(std::uint32_t configured, unsigned cores);

class Helpers {
 public:
  explicit Helpers(KeeperLog& log) : log_(log) {}

  Result<void> start(unsigned count);
  // To every helper, and to those that are started later. Sent before a server hears of the programs in it.
  void tell_identities(const std::vector<process::Identity>& identities);
  std::size_t count() const { return helpers_.size(); }
  // The helper that serves a server's loop `loop`.
  std::size_t helper_of(unsigned loop) const { return loop % helpers_.size(); }
  // A new socket to a helper; the server's end.
  Result<UniqueFd> connect(std::size_t helper);

  bool owns(pid_t pid) const;
  // A helper has ended: starts another. Whatever of any server was connected to it needs connect() again.
  void restart(pid_t pid, const std::string& how_it_ended);
  std::size_t index_of(pid_t pid) const;

  // Sockets to wait on for the helpers' notices; heard() reads one.
  void add_to(std::vector<pollfd>& polled) const;
  void heard(int fd);

  // Closes their sockets: each ends its processes, then itself.
  void stop();
  bool gone() const;
  void forget(pid_t pid);
  std::vector<pid_t> pids() const;

 private:
  struct Helper {
    pid_t pid = -1;
    UniqueFd socket;
  };
  Result<void> start_one(Helper& helper);
  KeeperLog& log_;
  std::vector<Helper> helpers_;
  std::vector<process::Identity> identities_;  // as last told
};

}  // namespace fivefold::app
