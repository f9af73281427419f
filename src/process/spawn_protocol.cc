#include "process/spawn_protocol.h"

#include <grp.h>

#include <cstring>
#include <map>
#include <tuple>
#include <utility>

namespace fivefold::process {
namespace {

// One identity on the wire; followed by its groups and its program's name.
struct IdentityRecord {
  std::uint32_t switch_user = 0, uid = 0, gid = 0, group_count = 0, name_size = 0, reserved = 0;
  std::uint64_t memory = 0, cpu_seconds = 0, files = 0, processes = 0, file_size = 0, core = 0;
};

template <class T>
void put(std::string& out, const T& value) {
  out.append(bytes_of(value));
}

// Takes sizeof(T) bytes off the front.
template <class T>
bool take(std::string_view& in, T& value) {
  if (in.size() < sizeof(T)) return false;
  std::memcpy(static_cast<void*>(&value), in.data(), sizeof(T));
  in.remove_prefix(sizeof(T));
  return true;
}

bool take_releases(std::string_view& in, std::uint32_t count, std::vector<ReleaseEntry>& releases) {
  releases.clear();
  if (count > kMaxReleases) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    ReleaseEntry entry;
    if (!take(in, entry) || entry.grace_milliseconds > kMaxGraceMilliseconds) return false;
    releases.push_back(entry);
  }
  return true;
}

std::vector<gid_t> groups_of(const Identity& identity) {
  if (!identity.switch_user) return {};
  std::vector<gid_t> groups{identity.gid};
  if (identity.user.empty()) return groups;
  int count = 64;
  groups.resize(static_cast<std::size_t>(count));
  if (::getgrouplist(identity.user.c_str(), identity.gid, groups.data(), &count) < 0) {
    groups.resize(static_cast<std::size_t>(count));
    if (::getgrouplist(identity.user.c_str(), identity.gid, groups.data(), &count) < 0) return {identity.gid};
  }
  groups.resize(static_cast<std::size_t>(count));
  return groups;
}

// `count` strings, each with its NUL, filling `bytes` exactly.
bool split(char* bytes, std::size_t size, std::uint32_t count, std::vector<char*>& pointers) {
  pointers.clear();
  const char* const end = bytes + size;
  while (bytes != end) {
    if (pointers.size() == count) return false;
    auto* const nul = static_cast<char*>(std::memchr(bytes, '\0', static_cast<std::size_t>(end - bytes)));
    if (!nul) return false;
    pointers.push_back(bytes);
    bytes = nul + 1;
  }
  if (pointers.size() != count) return false;
  pointers.push_back(nullptr);
  return true;
}

bool is_absolute_path(const char* bytes, std::size_t size) {
  return size >= 2 && bytes[0] == '/' && std::memchr(bytes, '\0', size) == bytes + size - 1;
}

}  // namespace

std::optional<MessageKind> kind_of(std::string_view message) { return read_message<MessageKind>(message); }

bool parse_spawn(std::string_view message, SpawnRequest& request) {
  if (!take(message, request.header) || request.header.kind != MessageKind::spawn) return false;
  const SpawnHeader& header = request.header;
  if (!take_releases(message, header.release_count, request.releases)) return false;
  constexpr std::uint32_t kKnown = SpawnHeader::kStdin | SpawnHeader::kStdout | SpawnHeader::kStderr |
                                   SpawnHeader::kBodyInMemfd | SpawnHeader::kListenPid;
  if (header.flags & ~kKnown) return false;
  if (header.id >= kFirstAdoptedId || header.umask > 0777) return false;
  if (header.extra_count > SpawnPlan::kMostExtra || header.kept_count > SpawnPlan::kMostKept ||
      header.keep_size > SpawnPlan::kMostKeep || (header.kept_count != 0 && header.keep_size == 0))
    return false;
  if (header.arguments_count == 0 || header.arguments_count > kMaxStrings || header.environment_count > kMaxStrings)
    return false;
  const std::uint64_t total = header.body_size();
  if (total > kMaxBody) return false;
  request.body_size = static_cast<std::size_t>(total);
  request.rest = message;
  return request.rest.size() == (header.flags & SpawnHeader::kBodyInMemfd ? 0 : request.body_size);
}

bool parse_release(std::string_view message, std::vector<ReleaseEntry>& releases) {
  ReleaseHeader header;
  if (!take(message, header) || header.kind != MessageKind::release) return false;
  return take_releases(message, header.release_count, releases) && message.empty();
}

bool parse_body(const SpawnHeader& header, std::span<char> body, SpawnStrings& strings) {
  if (header.body_size() != body.size()) return false;
  strings.executable = body.data();
  strings.directory = strings.executable + header.executable_size;
  char* const arguments = strings.directory + header.directory_size;
  char* const environment = arguments + header.arguments_size;
  strings.keep = {environment + header.environment_size, header.keep_size};
  return is_absolute_path(strings.executable, header.executable_size) &&
         is_absolute_path(strings.directory, header.directory_size) &&
         split(arguments, header.arguments_size, header.arguments_count, strings.argv) &&
         split(environment, header.environment_size, header.environment_count, strings.envp);
}

bool parse_adopted(std::string_view message, AdoptedMessage& adopted, std::string_view& keep) {
  if (!take(message, adopted) || adopted.kind != MessageKind::adopted || message.size() != adopted.keep_size)
    return false;
  keep = message;
  return true;
}

std::string encode_identities(std::span<const Identity> identities) {
  std::string out;
  put(out, static_cast<std::uint32_t>(identities.size()));
  std::map<std::tuple<bool, gid_t, std::string_view>, std::vector<gid_t>> known;  // looking up is slow
  for (const Identity& identity : identities) {
    const auto [place, added] = known.try_emplace({identity.switch_user, identity.gid, identity.user});
    if (added) place->second = groups_of(identity);
    const std::vector<gid_t>& groups = place->second;
    IdentityRecord record;
    record.switch_user = identity.switch_user;
    record.uid = identity.uid;
    record.gid = identity.gid;
    record.group_count = static_cast<std::uint32_t>(groups.size());
    record.name_size = static_cast<std::uint32_t>(identity.program.size());
    record.memory = identity.memory;
    record.cpu_seconds = identity.cpu_seconds;
    record.files = identity.files;
    record.processes = identity.processes;
    record.file_size = identity.file_size;
    record.core = identity.core;
    put(out, record);
    for (const gid_t group : groups) put(out, group);
    out += identity.program;
  }
  return out;
}

std::optional<std::vector<ResolvedIdentity>> parse_identities(std::string_view message) {
  std::uint32_t count = 0;
  if (!take(message, count) || count > kMaxIdentities) return std::nullopt;
  std::vector<ResolvedIdentity> identities;
  for (std::uint32_t i = 0; i < count; ++i) {
    IdentityRecord record;
    if (!take(message, record) || record.group_count > kMaxGroups) return std::nullopt;
    ResolvedIdentity resolved;
    for (std::uint32_t group = 0; group < record.group_count; ++group)
      if (gid_t gid = 0; take(message, gid))
        resolved.groups.push_back(gid);
      else
        return std::nullopt;
    if (record.name_size > message.size()) return std::nullopt;
    Identity& identity = resolved.identity;
    identity.program = message.substr(0, record.name_size);
    message.remove_prefix(record.name_size);
    identity.switch_user = record.switch_user != 0;
    identity.uid = record.uid;
    identity.gid = record.gid;
    identity.memory = record.memory;
    identity.cpu_seconds = record.cpu_seconds;
    identity.files = record.files;
    identity.processes = record.processes;
    identity.file_size = record.file_size;
    identity.core = record.core;
    identities.push_back(std::move(resolved));
  }
  if (!message.empty()) return std::nullopt;
  return identities;
}

std::optional<std::vector<ResolvedIdentity>> IdentityPieces::feed(std::string_view message) {
  IdentityPiece piece;
  if (!take(message, piece) || piece.kind != MessageKind::identities) return std::nullopt;
  if (piece.position & IdentityPiece::kFirst) {
    begun_ = true;
    table_.clear();
  }
  if (!begun_) return std::nullopt;
  table_.append(message);
  if (table_.size() <= kMaxIdentityTable && !(piece.position & IdentityPiece::kLast)) return std::nullopt;
  begun_ = false;
  const std::string table = std::exchange(table_, {});
  if (table.size() > kMaxIdentityTable) return std::nullopt;
  return parse_identities(table);
}

std::string encode_notice(std::string_view text) {
  std::string out;
  put(out, MessageKind::notice);
  out += text;
  return out;
}

}  // namespace fivefold::process
