#include "process/spawn_message.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace fivefold::process {
namespace {

// A sealed memfd that holds the body.
Result<UniqueFd> large_body(std::span<const iovec> parts) {
  UniqueFd memfd(::memfd_create("fivefold-spawn", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memfd) return fail_errno(errno, "passing a large environment to the spawning helper", Code::out_of_resources);
  for (const iovec& part : parts) {
    std::size_t done = 0;
    while (done < part.iov_len) {
      const ssize_t bytes = ::write(memfd.get(), static_cast<const char*>(part.iov_base) + done, part.iov_len - done);
      if (bytes < 0 && errno == EINTR) continue;
      if (bytes <= 0)
        return fail_errno(errno, "passing a large environment to the spawning helper", Code::out_of_resources);
      done += static_cast<std::size_t>(bytes);
    }
  }
  if (::fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    return fail_errno(errno, "passing a large environment to the spawning helper", Code::out_of_resources);
  return memfd;
}

}  // namespace

Result<void> check_plan(const SpawnPlan& plan) {
  const auto is_path = [](const std::string& path) {
    return path.starts_with('/') && path.find('\0') == std::string::npos;
  };
  if (!is_path(plan.executable))
    return fail(Code::program_failed, "cannot execute \"" + plan.executable + "\": it is not an absolute path");
  if (!is_path(plan.directory))
    return fail(Code::program_failed,
                "cannot start " + plan.executable + " in \"" + plan.directory + "\": it is not an absolute path");
  if (plan.arguments.count() == 0)
    return fail(Code::internal, "cannot execute " + plan.executable + ": not even its name is among its arguments");
  const std::size_t size = plan.executable.size() + plan.directory.size() + 2 + plan.arguments.bytes().size() +
                           plan.environment.bytes().size() + plan.keep.size();
  const auto count_nuls = [](std::string_view bytes) {
    return static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), '\0'));
  };
  if (count_nuls(plan.arguments.bytes()) != plan.arguments.count() ||
      count_nuls(plan.environment.bytes()) != plan.environment.count())
    return fail(Code::program_failed,
                "cannot execute " + plan.executable + ": an argument or variable holds a NUL character");
  if (size > kMaxBody || plan.arguments.count() > kMaxStrings || plan.environment.count() > kMaxStrings)
    return fail(Code::program_failed,
                "cannot execute " + plan.executable + ": its arguments and environment are too large");
  const auto all_open = [](const std::vector<int>& fds) {
    return std::all_of(fds.begin(), fds.end(), [](int fd) { return fd >= 0; });
  };
  if (plan.extra_fds.size() > SpawnPlan::kMostExtra || plan.kept_fds.size() > SpawnPlan::kMostKept ||
      !all_open(plan.extra_fds) || !all_open(plan.kept_fds) || plan.keep.size() > SpawnPlan::kMostKeep ||
      (plan.keep.empty() && !plan.kept_fds.empty()) || plan.umask > 0777)
    return fail(Code::internal,
                "cannot execute " + plan.executable + ": its descriptors, its text or its umask are wrong");
  return {};
}

Result<void> SpawnMessage::make(const SpawnPlan& plan, std::uint64_t id, std::span<const ReleaseEntry> releases) {
  header_.id = id;
  header_.program = plan.program;
  header_.executable_size = static_cast<std::uint32_t>(plan.executable.size() + 1);
  header_.directory_size = static_cast<std::uint32_t>(plan.directory.size() + 1);
  header_.arguments_size = static_cast<std::uint32_t>(plan.arguments.bytes().size());
  header_.arguments_count = plan.arguments.count();
  header_.environment_size = static_cast<std::uint32_t>(plan.environment.bytes().size());
  header_.environment_count = plan.environment.count();
  header_.keep_size = static_cast<std::uint32_t>(plan.keep.size());
  header_.extra_count = static_cast<std::uint32_t>(plan.extra_fds.size());
  header_.kept_count = static_cast<std::uint32_t>(plan.kept_fds.size());
  header_.umask = plan.umask;
  header_.release_count = static_cast<std::uint32_t>(releases.size());
  if (plan.listen_pid) header_.flags |= SpawnHeader::kListenPid;
  const int streams[3] = {plan.stdin_fd, plan.stdout_fd, plan.stderr_fd};
  for (std::uint32_t stream = 0; stream < 3; ++stream)
    if (streams[stream] >= 0) {
      header_.flags |= 1U << stream;
      add(streams[stream]);
    }
  for (const int fd : plan.extra_fds) add(fd);
  for (const int fd : plan.kept_fds) add(fd);
  add(&header_, sizeof header_);
  add(releases.data(), releases.size_bytes());
  const std::size_t before_body = part_count_;
  add(plan.executable.c_str(), plan.executable.size() + 1);
  add(plan.directory.c_str(), plan.directory.size() + 1);
  add(plan.arguments.bytes().data(), plan.arguments.bytes().size());
  add(plan.environment.bytes().data(), plan.environment.bytes().size());
  add(plan.keep.data(), plan.keep.size());
  if (header_.body_size() <= kMaxInlineBody) return {};
  auto made = large_body(parts().subspan(before_body));
  if (!made) return std::unexpected(std::move(made.error()));
  memfd_ = std::move(*made);
  header_.flags |= SpawnHeader::kBodyInMemfd;
  add(memfd_.get());
  part_count_ = before_body;
  return {};
}

}  // namespace fivefold::process
