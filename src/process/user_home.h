#pragma once
// Where a program's user is at home.
#include <string>

namespace fivefold::process {

struct UserHome {
  std::string home = "/";
  std::string name = {};  // empty: there is no such user
};

// Of a user's name or number; empty: this process's own.
UserHome home_of(const std::string& user);

}  // namespace fivefold::process
