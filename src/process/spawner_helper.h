#pragma once
// The spawning helper itself: its loop, what the keeper tells it, what the servers ask of it.
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/unique_fd.h"
#include "process/create_process.h"
#include "process/event_poll.h"
#include "process/helper_client.h"
#include "process/program_table.h"
#include "process/received_message.h"
#include "process/spawn_protocol.h"
#include "process/spawner_process.h"
#include "process/started_processes.h"

namespace fivefold::process {

class SpawnerHelper {
 public:
  SpawnerHelper(UniqueFd keeper, const SpawnerLimits& limits) : keeper_(std::move(keeper)), limits_(limits) {}

  // As run_spawner says. 0 when the keeper has gone, 1 when it could not begin.
  int run();

 private:
  using Clock = std::chrono::steady_clock;

  // spawner_helper.cc: start, loop, keeper.
  bool prepare();
  bool keep_only_needed_descriptors();
  bool turn();
  bool keeper_message();
  void notice(std::string_view text);

  // spawner_helper_requests.cc: clients and their requests.
  void add_client(UniqueFd socket);
  void drop_client(std::uint64_t token);
  void client_ready(HelperClient& client, std::uint32_t events);
  bool client_message(HelperClient& client);
  void release(HelperClient& client, const std::vector<ReleaseEntry>& releases);
  bool spawn(HelperClient& client);
  bool fail_spawn(HelperClient& client, SpawnStep step, int error);
  bool started(HelperClient& client, std::uint64_t process_token, pid_t pid);
  bool read_body(int memfd);
  void process_exited(std::uint64_t token);

  // spawner_helper_kept.cc: processes that outlive their clients.
  void adopt(HelperClient& client);
  bool disown(HelperClient& client, std::string_view message);
  void now_unowned(std::uint64_t process_token, std::uint64_t former_client);
  void offer_unowned();
  bool give(HelperClient& client, std::uint64_t process_token);
  void end_unowned();
  std::chrono::milliseconds unowned_timeout() const;

  // A kept process that nobody owns.
  struct Unowned {
    std::uint64_t process = 0;        // token
    std::uint64_t former_client = 0;  // token; it let the process go, and gets it back only if it asks anew
    Clock::time_point end_at{};
  };

  UniqueFd keeper_;
  const SpawnerLimits limits_;
  UniqueFd null_;
  EventPoll events_;
  const pid_t pid_ = ::getpid();
  ProcessCreator creator_;
  ProgramTable programs_;
  std::unordered_map<std::uint64_t, HelperClient> clients_;  // by token
  StartedProcesses processes_{events_, programs_};
  std::deque<Unowned> unowned_;  // by end_at
  std::uint64_t adopter_ = 0;    // token of the client that gets these; 0: none
  std::uint64_t next_adopted_id_ = kFirstAdoptedId;
  Clock::time_point offer_at_{};  // when the adopter had no room
  // Of the request at hand.
  ReceivedMessage message_;
  IdentityPieces identities_;
  SpawnRequest request_;
  SpawnStrings strings_;
  std::vector<char> large_body_;
};

}  // namespace fivefold::process
