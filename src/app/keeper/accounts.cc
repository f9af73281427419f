#include "app/keeper/accounts.h"

#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace fivefold::app {
namespace {

bool same(const process::Identity& a, const process::Identity& b) {
  return a.program == b.program && a.switch_user == b.switch_user && a.uid == b.uid && a.gid == b.gid &&
         a.user == b.user && a.memory == b.memory && a.cpu_seconds == b.cpu_seconds && a.files == b.files &&
         a.processes == b.processes && a.file_size == b.file_size && a.core == b.core;
}

template <class Entry>
struct Lookup {
  Entry entry{};
  std::vector<char> buffer = std::vector<char>(64 * 1024);
  bool found = false;
};

}  // namespace

Result<Account> find_account(const std::string& user, const std::string& group) {
  Lookup<passwd> person;
  passwd* found = nullptr;
  const auto number = parse_decimal(user);
  if (number)
    ::getpwuid_r(static_cast<uid_t>(*number), &person.entry, person.buffer.data(), person.buffer.size(), &found);
  else
    ::getpwnam_r(user.c_str(), &person.entry, person.buffer.data(), person.buffer.size(), &found);
  Account account{.switch_user = true, .user = user};
  if (found) {
    account.user = found->pw_name;
    account.uid = found->pw_uid;
    account.gid = found->pw_gid;
  } else if (number && !group.empty()) {
    account.uid = static_cast<uid_t>(*number);  // a number without an entry is fine when the group is told
  } else {
    return fail(Code::internal,
                "there is no user \"" + user + "\" on this machine; create it or name another in `user`");
  }
  if (!group.empty()) {
    Lookup<struct group> people;
    struct group* named = nullptr;
    const auto group_number = parse_decimal(group);
    if (group_number)
      account.gid = static_cast<gid_t>(*group_number);
    else if (::getgrnam_r(group.c_str(), &people.entry, people.buffer.data(), people.buffer.size(), &named) == 0 &&
             named)
      account.gid = named->gr_gid;
    else
      return fail(Code::internal,
                  "there is no group \"" + group + "\" on this machine; create it or name another in `group`");
  }
  if (found) {
    int count = 64;
    account.groups.resize(64);
    if (::getgrouplist(account.user.c_str(), account.gid, account.groups.data(), &count) < 0) {
      account.groups.resize(static_cast<std::size_t>(count));
      ::getgrouplist(account.user.c_str(), account.gid, account.groups.data(), &count);
    }
    account.groups.resize(static_cast<std::size_t>(count));
  } else {
    account.groups = {account.gid};
  }
  return account;
}

Result<Account> server_account(const config::Server& server) {
  if (::geteuid() != 0) return Account{.switch_user = false, .user = {}, .uid = ::geteuid(), .gid = ::getegid()};
  if (!server.user.empty()) return find_account(server.user, server.group);
  if (auto usual = find_account("www-data", server.group)) return usual;
  auto last = find_account("nobody", server.group);
  if (!last)
    return fail(
        Code::internal,
        "neither the user \"www-data\" nor \"nobody\" exists; name the user the server shall run as in [server] user");
  return last;
}

Result<std::map<std::string, std::uint32_t>> IdentityTable::add(const config::Config& config, const Account& server) {
  std::map<std::string, std::uint32_t> indices;
  std::vector<process::Identity> wanted;
  // Nobody may have more descriptors than this process may (`ulimit -Hn`); asking for more would keep programs from
  // starting.
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  for (const auto& program : config.programs) {
    Account account = server;
    if (::geteuid() == 0 && (!program.user.empty() || !program.group.empty())) {
      auto own = find_account(program.user.empty() ? server.user : program.user, program.group);
      if (!own) return fail(Code::internal, "program " + program.name + ": " + own.error().message);
      account = std::move(*own);
    }
    const auto& limits = program.limits;
    wanted.push_back({.program = program.name,
                      .switch_user = account.switch_user,
                      .uid = account.uid,
                      .gid = account.gid,
                      .user = account.user,
                      .memory = limits.memory,
                      .cpu_seconds = limits.cpu_seconds,
                      .files = std::min<std::uint64_t>(limits.files, descriptors.rlim_max),
                      .processes = limits.processes,
                      .file_size = limits.file_size,
                      .core = limits.core});
  }
  for (auto& identity : wanted) {
    std::size_t index = 0;
    while (index < identities_.size() && !same(identities_[index], identity)) ++index;
    if (index == identities_.size()) identities_.push_back(identity);
    indices[identity.program] = static_cast<std::uint32_t>(index);
  }
  return indices;
}

nlohmann::json to_json(const Account& account) {
  return {{"switch", account.switch_user},
          {"user", account.user},
          {"uid", account.uid},
          {"gid", account.gid},
          {"groups", account.groups}};
}

Account account_from_json(const nlohmann::json& json) {
  return {.switch_user = json.value("switch", false),
          .user = json.value("user", ""),
          .uid = json.value("uid", uid_t{0}),
          .gid = json.value("gid", gid_t{0}),
          .groups = json.value("groups", std::vector<gid_t>{})};
}

}  // namespace fivefold::app
