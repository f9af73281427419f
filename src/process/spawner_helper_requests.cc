#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "process/spawner_helper.h"

namespace fivefold::process {

using std::chrono::milliseconds;

namespace {

constexpr char kListenPid[] = "LISTEN_PID=";

// `value` in place of whatever of the same name there is; envp ends in nullptr.
void replace_listen_pid(std::vector<char*>& envp, char* value) {
  std::erase_if(envp, [](const char* each) { return each && std::string_view(each).starts_with(kListenPid); });
  envp.back() = value;
  envp.push_back(nullptr);
}

}  // namespace

// --- clients

void SpawnerHelper::add_client(UniqueFd socket) {
  const std::uint64_t token = events_.new_token();
  if (!events_.add(socket.get(), EPOLLIN, token)) return;
  clients_.try_emplace(token, events_, std::move(socket), token);
}

void SpawnerHelper::drop_client(std::uint64_t token) {
  const auto found = clients_.find(token);
  for (const auto& [id, process_token] : found->second.processes)
    if (processes_.kept(process_token))
      now_unowned(process_token, token);
    else
      processes_.release(process_token, milliseconds(0));
  clients_.erase(found);
  if (adopter_ == token) adopter_ = 0;
  offer_unowned();
}

void SpawnerHelper::client_ready(HelperClient& client, std::uint32_t events) {
  if ((events & EPOLLOUT) && !client.send_unsent()) return drop_client(client.token());
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  const ssize_t bytes = message_.receive(client.socket());
  if (bytes < 0 && is_temporary(errno)) return;
  const bool good = bytes > 0 && client_message(client);
  message_.descriptors().clear();
  if (bytes > 0 && !good)
    notice(
        "a server sent a spawning helper a malformed message and was cut off; its processes end, those that are kept "
        "wait for "
        "another server");
  if (!good) drop_client(client.token());
}

// False when malformed, or when the client cannot be answered any more.
bool SpawnerHelper::client_message(HelperClient& client) {
  const std::string_view message = message_.text();
  switch (kind_of(message).value_or(MessageKind::notice)) {
    case MessageKind::spawn:
      if (!parse_spawn(message, request_)) return false;
      release(client, request_.releases);
      return spawn(client);
    case MessageKind::release:
      if (!parse_release(message, request_.releases)) return false;
      release(client, request_.releases);
      return true;
    case MessageKind::signal: {
      const auto signal = read_message<SignalMessage>(message);
      if (!signal || message.size() != sizeof *signal || signal->number < 1 || signal->number >= NSIG) return false;
      if (const auto found = client.processes.find(signal->id); found != client.processes.end())
        processes_.signal(found->second, signal->number);
      return true;
    }
    case MessageKind::adopt:
      if (message.size() != sizeof(AdoptMessage)) return false;
      adopt(client);
      return true;
    case MessageKind::disown:
      return disown(client, message);
    default:
      return false;
  }
}

void SpawnerHelper::release(HelperClient& client, const std::vector<ReleaseEntry>& releases) {
  for (const ReleaseEntry& entry : releases) {
    const auto found = client.processes.find(entry.id);
    if (found == client.processes.end()) continue;  // its start had failed
    const std::uint64_t token = found->second;
    client.processes.erase(found);
    processes_.release(token, milliseconds(entry.grace_milliseconds));
  }
}

void SpawnerHelper::process_exited(std::uint64_t token) {
  const auto exit = processes_.exited(token);
  if (exit && !clients_.at(exit->client).reply(bytes_of(exit->message))) drop_client(exit->client);
}

// --- starts: false as in client_message

bool SpawnerHelper::spawn(HelperClient& client) {
  const SpawnHeader& header = request_.header;
  std::vector<UniqueFd>& descriptors = message_.descriptors();
  if (client.processes.contains(header.id)) return false;
  const std::size_t wanted = header.descriptor_count();
  if (descriptors.size() != wanted)
    return message_.lost_descriptors() && descriptors.size() < wanted &&
           fail_spawn(client, SpawnStep::descriptors, EMFILE);
  const Program* program = programs_.find(header.program);
  if (!program) return fail_spawn(client, SpawnStep::program, EINVAL);
  std::span<char> body = message_.writable(request_.rest);
  if (header.flags & SpawnHeader::kBodyInMemfd) {
    if (!read_body(descriptors.back().get())) return false;
    body = large_body_;
  }
  if (!parse_body(header, body, strings_)) return false;
  if (header.keep_size != 0 && processes_.kept_count() >= limits_.kept)
    return fail_spawn(client, SpawnStep::keep, EAGAIN);
  Launch launch;
  std::size_t next = 0;
  for (std::uint32_t stream = 0; stream < 3; ++stream)
    launch.streams[stream] = header.flags & (1U << stream) ? descriptors[next++].get() : null_.get();
  for (std::uint32_t extra = 0; extra < header.extra_count; ++extra)
    launch.extra[launch.extra_count++] = descriptors[next++].get();
  launch.umask = header.umask;
  char listen_pid[sizeof kListenPid + Launch::kPidDigits];
  if (header.flags & SpawnHeader::kListenPid) {
    std::memcpy(listen_pid, kListenPid, sizeof kListenPid);
    launch.own_pid = listen_pid + sizeof kListenPid - 1;
    replace_listen_pid(strings_.envp, listen_pid);
  }
  const Identity& identity = program->resolved.identity;
  launch.executable = strings_.executable;
  launch.directory = strings_.directory;
  launch.argv = strings_.argv.data();
  launch.envp = strings_.envp.data();
  launch.switch_user = identity.switch_user;
  launch.uid = identity.uid;
  launch.gid = identity.gid;
  launch.groups = program->resolved.groups.data();
  launch.group_count = program->resolved.groups.size();
  launch.limits = program->limits.data();
  launch.limit_count = program->limits.size();
  launch.parent = pid_;
  NewProcess process;
  process.id = header.id;
  process.client = client.token();
  if (header.keep_size != 0) {
    process.kept = std::make_unique<Kept>(Kept{.text = std::string(strings_.keep)});
    for (std::uint32_t kept = 0; kept < header.kept_count; ++kept)
      process.kept->fds.push_back(std::move(descriptors[next++]));
  }
  if (program->in_cgroup) {
    auto folder = programs_.take_cgroup(*program);
    if (!folder) {
      notice("program \"" + identity.program + "\" cannot be limited: " + folder.error().message);
      return fail_spawn(client, SpawnStep::limits, EAGAIN);
    }
    process.cgroup = std::move(*folder);
    launch.cgroup = process.cgroup->fd.get();
  }
  process.pid = creator_.create(launch, process.pidfd);
  descriptors.clear();
  if (process.pid <= 0) {
    programs_.give_back(std::move(process.cgroup));
    return fail_spawn(client, launch.failed_step, launch.error);
  }
  const pid_t pid = process.pid;
  const auto token = processes_.add(std::move(process));
  if (!token) return fail_spawn(client, SpawnStep::watch, token.error());
  return started(client, *token, pid);
}

bool SpawnerHelper::fail_spawn(HelperClient& client, SpawnStep step, int error) {
  FailedMessage failed;
  failed.step = step;
  failed.id = request_.header.id;
  failed.error = error;
  return client.reply(bytes_of(failed));
}

bool SpawnerHelper::started(HelperClient& client, std::uint64_t process_token, pid_t pid) {
  StartedMessage message;
  message.pid = pid;
  message.id = request_.header.id;
  client.processes.emplace(message.id, process_token);
  return client.reply(bytes_of(message));
}

// Copies a memfd's content, which must be sealed: so it can neither shrink meanwhile nor be a file that makes us wait.
bool SpawnerHelper::read_body(int memfd) {
  const int seals = ::fcntl(memfd, F_GET_SEALS);
  if (seals < 0 || !(seals & F_SEAL_SHRINK) || !(seals & F_SEAL_WRITE)) return false;
  struct stat status{};
  if (::fstat(memfd, &status) != 0 || status.st_size != static_cast<off_t>(request_.body_size)) return false;
  large_body_.resize(request_.body_size);
  std::size_t done = 0;
  while (done < large_body_.size()) {
    const ssize_t bytes =
        ::pread(memfd, large_body_.data() + done, large_body_.size() - done, static_cast<off_t>(done));
    if (bytes <= 0) return false;
    done += static_cast<std::size_t>(bytes);
  }
  return true;
}

}  // namespace fivefold::process
