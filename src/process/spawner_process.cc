#include "process/spawner_process.h"

#include <algorithm>

#include "net/channel.h"
#include "process/spawn_protocol.h"
#include "process/spawner_helper.h"

namespace fivefold::process {

int run_spawner(UniqueFd keeper_socket, const SpawnerLimits& limits) {
  return SpawnerHelper(std::move(keeper_socket), limits).run();
}

Result<void> send_identities(int helper_socket, std::span<const Identity> identities) {
  const std::string table = encode_identities(identities);
  std::string message;
  std::size_t sent = 0;
  do {
    const std::size_t size = std::min(kIdentityPiece, table.size() - sent);
    IdentityPiece piece;
    if (sent == 0) piece.position |= IdentityPiece::kFirst;
    if (sent + size == table.size()) piece.position |= IdentityPiece::kLast;
    message.assign(bytes_of(piece));
    message.append(table, sent, size);
    if (auto done = net::send_message(helper_socket, message); !done) return done;
    sent += size;
  } while (sent < table.size());
  return {};
}

Result<void> send_client(int helper_socket, int client_socket) {
  const MessageKind kind = MessageKind::client;
  return net::send_message(helper_socket, bytes_of(kind), std::span(&client_socket, 1));
}

std::optional<std::string_view> parse_notice(std::string_view message) {
  if (kind_of(message) != MessageKind::notice) return std::nullopt;
  message.remove_prefix(sizeof(MessageKind));
  return message;
}

}  // namespace fivefold::process
