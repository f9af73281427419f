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
inline constexpr std::uint32_t kMaxGroups = 65536;                   // the kernel's NGROUPS_MAX
inline constexpr std::size_t kIdentityPiece = 64 * 1024;             // of the identity table in one message
inline constexpr std::size_t kMaxIdentityTable = 256 * 1024 * 1024;  // its pieces together
inline constexpr std::size_t kMaxDescriptors =
    3 + SpawnPlan::kMostExtra + SpawnPlan::kMostKept + 1;  // that one message may carry
// Ids at and above this are the helper's, for processes that a client adopts; those below are the client's own.
inline constexpr std::uint64_t kFirstAdoptedId = std::uint64_t{1} << 63;

enum class MessageKind : std::uint32_t {
  spawn = 1,
  signal = 2,
  release = 3,
  adopt = 4,
  disown = 5,  // server to helper
  started = 16,
  failed = 17,
  exited = 18,
  adopted = 19,  // helper to server
  identities = 32,
  client = 33,  // keeper to helper
  notice = 48,  // helper to keeper: a line for the log
};

// Where a start can fail. The new process goes through them in this order, but for the last.
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
  keep,  // the helper keeps as many processes as it may
};

// "I have no more interest in this process": end it if it runs (TERM, KILL after the grace), end what is left of its
// group, reap it.
struct ReleaseEntry {
  std::uint64_t id = 0;
  std::uint32_t grace_milliseconds = 0;
  std::uint32_t reserved = 0;
};

// Followed by `release_count` ReleaseEntry, then, unless in a memfd, the body: executable, directory, arguments,
// environment, and the text of a kept process. Descriptors, in this order, as flagged or counted: stdin, stdout,
// stderr, extra, kept, memfd.
struct SpawnHeader {
  static constexpr std::uint32_t kStdin = 1, kStdout = 2, kStderr = 4, kBodyInMemfd = 8, kListenPid = 16;
  MessageKind kind = MessageKind::spawn;
  std::uint32_t release_count = 0;
  std::uint64_t id = 0;  // chosen by the client, unique among its processes, below kFirstAdoptedId
  std::uint32_t program = 0;
  std::uint32_t flags = 0;
  std::uint32_t executable_size = 0;  // with its NUL, like all sizes here
  std::uint32_t directory_size = 0;
  std::uint32_t arguments_size = 0;
  std::uint32_t arguments_count = 0;
  std::uint32_t environment_size = 0;
  std::uint32_t environment_count = 0;
  std::uint32_t keep_size = 0;  // 0: it is not kept
  std::uint32_t extra_count = 0;
  std::uint32_t kept_count = 0;
  std::uint32_t umask = 0022;

  std::uint64_t body_size() const {
    return std::uint64_t{executable_size} + directory_size + arguments_size + environment_size + keep_size;
  }
  std::size_t descriptor_count() const {
    return static_cast<std::size_t>(__builtin_popcount(flags & (kStdin | kStdout | kStderr | kBodyInMemfd))) +
           extra_count + kept_count;
  }
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

// "Kept processes that nobody owns are to come to me", until another client says so.
struct AdoptMessage {
  MessageKind kind = MessageKind::adopt;
};

// "Whoever adopts may have this one."
struct DisownMessage {
  MessageKind kind = MessageKind::disown;
  std::uint32_t reserved = 0;
  std::uint64_t id = 0;
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

// The receiver owns a kept process from now on. Followed by its text; its kept descriptors go along.
struct AdoptedMessage {
  MessageKind kind = MessageKind::adopted;
  std::int32_t pid = 0;
  std::uint64_t id = 0;  // the receiver's name for it
  std::uint64_t age_milliseconds = 0;
  std::uint32_t keep_size = 0;
  std::uint32_t kept_count = 0;
  std::uint32_t has_exited = 0;
  std::uint32_t reserved = 0;
  ExitedMessage exit;  // when it has
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
  std::string_view keep;
};
bool parse_body(const SpawnHeader& header, std::span<char> body, SpawnStrings& strings);

// False when malformed. `keep` points into the message.
bool parse_adopted(std::string_view message, AdoptedMessage& adopted, std::string_view& keep);

// One program's identity in the helper's hands: names are numbers already.
struct ResolvedIdentity {
  Identity identity;
  std::vector<gid_t> groups;
};
// The table as bytes. Looks the supplementary groups of `user` up (in the system's user database), so this is the
// keeper's part.
std::string encode_identities(std::span<const Identity> identities);
std::optional<std::vector<ResolvedIdentity>> parse_identities(std::string_view table);

// The table crosses in pieces, each one message: this, then bytes of the table.
struct IdentityPiece {
  static constexpr std::uint32_t kFirst = 1, kLast = 2;
  MessageKind kind = MessageKind::identities;
  std::uint32_t position = 0;  // flags
};
class IdentityPieces {
 public:
  // The table when `message` was its last piece. A piece without a first one before it, or of too large a table, is
  // dropped, as is a table that is malformed.
  std::optional<std::vector<ResolvedIdentity>> feed(std::string_view message);

 private:
  bool begun_ = false;
  std::string table_;
};

std::string encode_notice(std::string_view text);

}  // namespace fivefold::process
