#pragma once
// The keeper's folder for the sockets of programs' instances: short, because a socket's path may have 107 bytes; gone
// when the keeper is.
#include <sys/types.h>

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "app/keeper/accounts.h"
#include "base/error.h"
#include "base/unique_fd.h"
#include "config/config.h"
#include "process/spawn_plan.h"

namespace fivefold::app {

// What the longest path in it adds: "/", the program's folder, "/", the instance's number, "/socket".
inline constexpr std::size_t kLongestRuntimeRest = 1 + 10 + 1 + 10 + 7;
inline constexpr std::size_t kLongestSocketPath = 107;

// Where such folders may be made, in the order in which they are tried.
struct RuntimePlace {
  std::string parent;
  std::string prefix;     // of the folder's name
  std::string name = {};  // tried first; else `prefix` and six random characters
};
// As root /run, else $XDG_RUNTIME_DIR unless paths in it would be too long; then /tmp.
std::vector<RuntimePlace> runtime_places();

class RuntimeFolder {
 public:
  explicit RuntimeFolder(std::vector<RuntimePlace> places = runtime_places()) : places_(std::move(places)) {}
  ~RuntimeFolder() { (void)remove(); }
  RuntimeFolder(const RuntimeFolder&) = delete;
  RuntimeFolder& operator=(const RuntimeFolder&) = delete;

  // Removes the folders of keepers of this user that have ended without doing so. Errors are only that a folder is
  // left, in words.
  std::vector<std::string> remove_stale() const;

  // A folder for each of `config`'s programs that has instances, by the program's name: a path that holds as long as
  // the program's user and the server's group stay the same, and whose folder exists until remove(). As root it belongs
  // to the program's user and the server's group, mode 2770; else to this user, mode 0700. `identities` is the table,
  // `indices` the programs' places in it. Code::internal when it cannot be made; it then says where and what to do.
  Result<std::map<std::string, std::string>> prepare(const config::Config& config,
                                                     const std::vector<process::Identity>& identities,
                                                     const std::map<std::string, std::uint32_t>& indices,
                                                     const Account& server);

  // Empty before the first program that needs it.
  const std::string& path() const { return path_; }
  // With all that is in it. When nobody uses it any more.
  Result<void> remove();

 private:
  Result<void> make();
  bool make_at(const RuntimePlace& place);
  Result<std::string> folder_for(const std::string& program, uid_t owner, gid_t group);

  std::vector<RuntimePlace> places_;
  std::string path_;
  UniqueFd folder_;                                                    // open and locked
  std::map<std::tuple<std::string, uid_t, gid_t>, unsigned> numbers_;  // of the folders made
};

}  // namespace fivefold::app
