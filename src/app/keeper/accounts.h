#pragma once
// Whom the server and the programs run as: names of the configuration turned into numbers, once, by the keeper.
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/config.h"
#include "process/spawn_plan.h"

namespace fivefold::app {

struct Account {
  bool switch_user = false;  // false: stay who we are
  std::string user;          // name, for messages and supplementary groups
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups = {};
};

// `user` and `group` are names or decimal numbers; an empty group is the user's own.
Result<Account> find_account(const std::string& user, const std::string& group);

// Whom the server runs as: [server] user when the keeper is root ("www-data", else "nobody", when it is not set), the
// keeper's own user else.
Result<Account> server_account(const config::Server& server);

// The identities that spawning helpers give to programs' processes. Append-only: an index that a request in flight
// holds goes on meaning what it meant, and a program that a reload leaves as it was keeps its index.
class IdentityTable {
 public:
  // Adds what `config` needs; the index of each of its programs by name. Users that do not exist are an error, and
  // nothing is added.
  Result<std::map<std::string, std::uint32_t>> add(const config::Config& config, const Account& server);
  const std::vector<process::Identity>& identities() const { return identities_; }

 private:
  std::vector<process::Identity> identities_;
};

nlohmann::json to_json(const Account& account);
Account account_from_json(const nlohmann::json& json);

}  // namespace fivefold::app
