#include "process/user_home.h"

#include <pwd.h>
#include <unistd.h>

#include "base/text.h"

namespace fivefold::process {

UserHome home_of(const std::string& user) {
  constexpr std::size_t kEntry = 16384;  // bytes of an account's line, more than any has
  std::string buffer(kEntry, '\0');
  passwd entry{};
  passwd* found = nullptr;
  if (user.empty())
    ::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found);
  else if (const auto uid = parse_decimal(user))
    ::getpwuid_r(static_cast<uid_t>(*uid), &entry, buffer.data(), buffer.size(), &found);
  else
    ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (!found) return {};
  return {.home = found->pw_dir, .name = found->pw_name};
}

}  // namespace fivefold::process
