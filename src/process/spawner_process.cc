#include "process/spawner_process.h"

#include "net/channel.h"
#include "process/spawn_protocol.h"
#include "process/spawner_helper.h"

namespace fivefold::process {

int run_spawner(UniqueFd keeper_socket) { return SpawnerHelper(std::move(keeper_socket)).run(); }

Result<void> send_identities(int helper_socket, std::span<const Identity> identities) {
  return net::send_message(helper_socket, encode_identities(identities));
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
