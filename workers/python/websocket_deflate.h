#pragma once
// permessage-deflate (RFC 7692): what is agreed on, and the two directions of one connection.
#include <zlib.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fivefold::python {

struct DeflateTerms {
  // Windows of 4 KiB are nearly as good for short messages as those of 32 KiB, and a connection costs 40 KB and not
  // 300.
  static constexpr int kWindowBits = 12;

  int client_bits = 15, server_bits = kWindowBits;
  bool client_fresh = false, server_fresh = false;  // each message begins with an empty window

  // Takes the first offer of a Sec-WebSocket-Extensions field that can be met.
  static std::optional<DeflateTerms> choose(std::string_view offers);
  // The answer to `offers`: the field's value.
  std::string answer() const;

  bool client_bits_offered = false;  // without it the answer must not speak of the client's window
};

class WebSocketDeflate {
 public:
  explicit WebSocketDeflate(const DeflateTerms& terms);
  ~WebSocketDeflate();
  WebSocketDeflate(const WebSocketDeflate&) = delete;
  WebSocketDeflate& operator=(const WebSocketDeflate&) = delete;

  enum class Inflated : std::uint8_t { yes, too_large, broken };
  // Appends what the next bytes of a message mean. `to` grows to `most` bytes and one at most.
  Inflated inflate(std::string_view bytes, std::string& to, std::size_t most);
  // The message is over.
  Inflated inflate_end(std::string& to, std::size_t most);

  std::string deflate(std::string_view message);

 private:
  DeflateTerms terms_;
  z_stream in_{}, out_{};
};

}  // namespace fivefold::python
