#pragma once
// The messages between the server, the keeper and a spawning helper: fixed little structs over SOCK_SEQPACKET on one
// machine, so in the machine's own byte order. Everything that is read here comes from a process that may be
// compromised; every length is checked.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "process/spawn_plan.h"

namespace fivefold::process {

inline constexpr std::size_t kMaxInlineBody = 100 * 1024;  // a larger Spawn body travels in a sealed memfd
inline constexpr std::size_t kMaxBody =
    8 * 1024 * 1024;                                 // paths, argv and envp together; the kernel's own limit is smaller
inline constexpr std::uint32_t kMaxStrings = 65536;  // in argv and in envp each
inline constexpr std::uint32_t kMaxReleases = 128;   // piggybacked on one message
inline constexpr std::size_t kMaxMessage = 256 * 1024;  // any one message; the socket's send buffer is a little smaller
inline constexpr std::uint32_t kMaxGraceMilliseconds = 3600 * 1000;
inline constexpr std::uint32_t kMaxIdentities = 65536;
inline constexpr std::uint32_t kMaxGroups = 65536;  // the kernel's NGROUPS_MAX

enum class MessageKind : std::uint32_t {
  spawn = 1,
  signal = 2,
  release = 3,  // server to helper
  started = 16,
  failed = 17,
  exited = 18,  // helper to server
  identities = 32,
  client = 33,  // keeper to helper
  notice = 48,  // helper to keeper: a line for the log
};

// Where a start can fail. The new process goes through them in this order.
enum class SpawnStep : std::uint32_t {
  none,
  program,
  descriptors,
  create,
  watch,
  signals,
  session,
  streams,
  limits,
  supplementary_groups,
  group,
  user,
  parent,
  directory,
  execute,
};

// "I have no more interest in this process": end it if it runs (TERM, KILL after the grace), end what is left of its
// group, reap it.
struct ReleaseEntry {
  std::uint64_t id = 0;
  std::uint32_t grace_milliseconds = 0;
  std::uint32_t reserved = 0;
};

// Followed by `release_count` ReleaseEntry, then, unless in a memfd, the body: executable, directory, arguments,
// environment. Descriptors, in this order, as flagged: stdin, stdout, stderr, memfd.
struct SpawnHeader {
  static constexpr std::uint32_t kStdin = 1, kStdout = 2, kStderr = 4, kBodyInMemfd = 8;
  MessageKind kind = MessageKind::spawn;
  std::uint32_t release_count = 0;
  std::uint64_t id = 0;  // chosen by the client, unique among its processes
  std::uint32_t program = 0;
  std::uint32_t flags = 0;
  std::uint32_t executable_size = 0;  // with its NUL, like all sizes here
  std::uint32_t directory_size = 0;
  std::uint32_t arguments_size = 0;
  std::uint32_t arguments_count = 0;
  std::uint32_t environment_size = 0;
  std::uint32_t environment_count = 0;
};

struct SignalMessage {
  MessageKind kind = MessageKind::signal;
  std::int32_t number = 0;
  std::uint64_t id = 0;
};

struct ReleaseHeader {
  MessageKind kind = MessageKind::release;
  std::uint32_t release_count = 0;
};

struct StartedMessage {
  MessageKind kind = MessageKind::started;
  std::int32_t pid = 0;
  std::uint64_t id = 0;
};

struct FailedMessage {
  MessageKind kind = MessageKind::failed;
  SpawnStep step = SpawnStep::none;
  std::uint64_t id = 0;
  std::int32_t error = 0;
  std::uint32_t reserved = 0;
};

struct ExitedMessage {
  MessageKind kind = MessageKind::exited;
  std::int32_t code = 0;  // CLD_EXITED, CLD_KILLED or CLD_DUMPED
  std::uint64_t id = 0;
  std::int32_t status = 0;
  std::uint32_t reserved = 0;
  std::uint64_t cpu_microseconds = 0;
  std::uint64_t peak_memory = 0;  // bytes
};

// The bytes of a fixed message, for sending.
template <class T>
std::string_view bytes_of(const T& message) {
  static_assert(std::has_unique_object_representations_v<T>, "padding would carry bytes of this process across");
  return {reinterpret_cast<const char*>(&message), sizeof(T)};
}

// A fixed message at the start of `bytes`; nothing when it is too short.
template <class T>
std::optional<T> read_message(std::string_view bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T message;
  __builtin_memcpy(static_cast<void*>(&message), bytes.data(), sizeof(T));
  return message;
}

// The first field of every message; nothing when there is not even that.
std::optional<MessageKind> kind_of(std::string_view message);

// A Spawn as the helper sees it, checked. Views point into the message, or into the memfd's copy.
struct SpawnRequest {
  SpawnHeader header;
  std::vector<ReleaseEntry> releases;
  std::string_view rest;  // the body when it is inline
  std::size_t body_size = 0;
};
// False when malformed. `request.releases` is reused.
bool parse_spawn(std::string_view message, SpawnRequest& request);
bool parse_release(std::string_view message, std::vector<ReleaseEntry>& releases);

// The strings of a Spawn body. argv and envp end in nullptr and point into `body`, which is not changed.
struct SpawnStrings {
  char* executable = nullptr;
  char* directory = nullptr;
  std::vector<char*> argv;
  std::vector<char*> envp;
};
bool parse_body(const SpawnHeader& header, std::span<char> body, SpawnStrings& strings);

// One program's identity in the helper's hands: names are numbers already.
struct ResolvedIdentity {
  Identity identity;
  std::vector<gid_t> groups;
};
// Looks the supplementary groups of `user` up (in the system's user database), so this is the keeper's part.
std::string encode_identities(std::span<const Identity> identities);
std::optional<std::vector<ResolvedIdentity>> parse_identities(std::string_view message);

std::string encode_notice(std::string_view text);

}  // namespace fivefold::process
