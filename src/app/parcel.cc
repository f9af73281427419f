#include "app/parcel.h"

#include <algorithm>

#include "net/channel.h"

namespace fivefold::app {

Result<void> send_parcel(int socket, const nlohmann::json& content, std::span<const int> fds) {
  const std::string text = content.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::size_t sent = 0;
  std::string message;
  do {
    const auto piece = std::min(kParcelPiece, text.size() - sent);
    const auto with = fds.first(std::min(fds.size(), kParcelDescriptors));
    fds = fds.subspan(with.size());
    const bool last = sent + piece == text.size() && fds.empty();
    message.assign(1, last ? '.' : '+');
    message.append(text, sent, piece);
    sent += piece;
    if (auto done = net::send_message(socket, message, with); !done) return done;
    if (last) return {};
  } while (true);
}

Result<std::optional<Parcel>> ParcelReader::feed(std::string_view message, std::vector<UniqueFd> fds) {
  if (message.empty() || (message[0] != '+' && message[0] != '.'))
    return fail(Code::internal, "another process of the server sent a message that is not understood");
  bytes_.append(message.substr(1));
  for (auto& fd : fds) fds_.push_back(std::move(fd));
  if (bytes_.size() > limit_) {
    bytes_.clear();
    fds_.clear();
    return fail(Code::internal, "another process of the server sent a message that is too large");
  }
  if (message[0] == '+') return std::nullopt;
  Parcel parcel{nlohmann::json::parse(bytes_, nullptr, false), std::move(fds_)};
  bytes_.clear();
  fds_.clear();
  if (!parcel.content.is_object())
    return fail(Code::internal, "another process of the server sent a message that is not understood");
  return parcel;
}

Result<Parcel> receive_parcel(int socket, ParcelReader& reader) {
  while (true) {
    auto message = net::receive_message(socket);
    if (!message) return std::unexpected(message.error());
    auto parcel = reader.feed(message->bytes, std::move(message->fds));
    if (!parcel) return std::unexpected(parcel.error());
    if (*parcel) return std::move(**parcel);
  }
}

UniqueFd take_descriptor(Parcel& parcel, const nlohmann::json& value) {
  if (!value.is_number_integer()) return {};
  const auto index = value.get<std::int64_t>();
  if (index < 0 || static_cast<std::size_t>(index) >= parcel.fds.size()) return {};
  return std::move(parcel.fds[static_cast<std::size_t>(index)]);
}

}  // namespace fivefold::app
