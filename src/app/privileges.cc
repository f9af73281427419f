#include "app/privileges.h"

#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

namespace fivefold::app {

Result<void> drop_privileges(const Account& account) {
  if (account.switch_user) {
    const std::string what = "cannot become the user " + account.user;
    if (::setgroups(account.groups.size(), account.groups.data()) != 0)
      return fail_errno(errno, what + ": setting its groups");
    if (::setresgid(account.gid, account.gid, account.gid) != 0) return fail_errno(errno, what + ": setting its group");
    if (::setresuid(account.uid, account.uid, account.uid) != 0) return fail_errno(errno, what);
    uid_t real = 0, effective = 0, saved = 0;
    gid_t real_group = 0, effective_group = 0, saved_group = 0;
    ::getresuid(&real, &effective, &saved);
    ::getresgid(&real_group, &effective_group, &saved_group);
    if (real != account.uid || effective != account.uid || saved != account.uid || real_group != account.gid ||
        effective_group != account.gid || saved_group != account.gid)
      return fail(Code::internal, what + ": the kernel did not change every id");
    if (account.uid != 0 && ::setuid(0) == 0) return fail(Code::internal, what + ": it could become root again");
  }
  // This process executes nothing: programs are started by the spawning helpers.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "cannot give up gaining privileges");
  return {};
}

Result<void> end_with_keeper(pid_t keeper) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return fail_errno(errno, "cannot tie this process to its keeper");
  if (::getppid() != keeper) return fail(Code::closed, "the keeper has ended");
  return {};
}

}  // namespace fivefold::app
