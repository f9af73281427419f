#include "websocket_deflate.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <new>

namespace fivefold::python {
namespace {

constexpr std::size_t kPiece = 16 * 1024;
constexpr int kMemoryLevel = 5;                       // 16 KiB
constexpr std::string_view kTail("\0\0\xff\xff", 4);  // of a flush; left out on the wire (section 7.2.1)
constexpr std::string_view kName = "permessage-deflate";

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The text before `separator`, which is taken off `rest` with it.
std::string_view next_part(std::string_view& rest, char separator) {
  const auto part = rest.substr(0, rest.find(separator));
  rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  return trimmed(part);
}

// A window's size; -1 for what is none.
int bits_of(std::string_view value) {
  if (value.size() > 1 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
  int bits = 0;
  const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), bits);
  return error == std::errc() && stop == value.data() + value.size() && value.front() != '0' && bits >= 8 && bits <= 15
             ? bits
             : -1;
}

// False for an offer that cannot be met.
bool take_parameter(std::string_view parameter, unsigned& seen, DeflateTerms& terms) {
  const auto equals = parameter.find('=');
  const bool has_value = equals != std::string_view::npos;
  const auto name = trimmed(parameter.substr(0, equals));
  const auto value = has_value ? trimmed(parameter.substr(equals + 1)) : std::string_view();
  unsigned which = 0;
  if (name == "server_no_context_takeover" && !has_value) {
    which = 1;
    terms.server_fresh = true;
  } else if (name == "client_no_context_takeover" && !has_value) {
    which = 2;
    terms.client_fresh = true;
  } else if (name == "server_max_window_bits" && bits_of(value) > 8) {  // zlib has no raw windows of 256 bytes
    which = 4;
    terms.server_bits = std::min(terms.server_bits, bits_of(value));
  } else if (name == "client_max_window_bits" && (!has_value || bits_of(value) > 0)) {
    which = 8;
    terms.client_bits_offered = true;
    terms.client_bits = std::min(DeflateTerms::kWindowBits, has_value ? bits_of(value) : 15);
  }
  const bool good = which != 0 && (seen & which) == 0;
  seen |= which;
  return good;
}

}  // namespace

std::optional<DeflateTerms> DeflateTerms::choose(std::string_view offers) {
  while (!offers.empty()) {
    auto offer = next_part(offers, ',');
    if (next_part(offer, ';') != kName) continue;
    DeflateTerms terms;
    unsigned seen = 0;
    bool good = true;
    while (good && !offer.empty()) good = take_parameter(next_part(offer, ';'), seen, terms);
    if (good) return terms;
  }
  return {};
}

std::string DeflateTerms::answer() const {
  std::string text = std::string(kName) + "; server_max_window_bits=" + std::to_string(server_bits);
  if (client_bits_offered) text += "; client_max_window_bits=" + std::to_string(client_bits);
  if (server_fresh) text += "; server_no_context_takeover";
  if (client_fresh) text += "; client_no_context_takeover";
  return text;
}

WebSocketDeflate::WebSocketDeflate(const DeflateTerms& terms) : terms_(terms) {
  if (inflateInit2(&in_, -std::max(9, terms.client_bits)) != Z_OK) throw std::bad_alloc();
  if (deflateInit2(&out_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -terms.server_bits, kMemoryLevel, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    inflateEnd(&in_);
    throw std::bad_alloc();
  }
}

WebSocketDeflate::~WebSocketDeflate() {
  inflateEnd(&in_);
  deflateEnd(&out_);
}

WebSocketDeflate::Inflated WebSocketDeflate::inflate(std::string_view bytes, std::string& to, std::size_t most) {
  std::array<unsigned char, kPiece> piece;
  in_.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  in_.avail_in = static_cast<unsigned>(bytes.size());
  do {
    in_.next_out = piece.data();
    in_.avail_out = static_cast<unsigned>(std::min(piece.size(), most - to.size() + 1));
    const int result = ::inflate(&in_, Z_SYNC_FLUSH);
    to.append(reinterpret_cast<char*>(piece.data()), static_cast<std::size_t>(in_.next_out - piece.data()));
    if (to.size() > most) return Inflated::too_large;
    if (result == Z_STREAM_END)
      inflateReset(&in_);  // a last block, which may be followed by others (section 7.2.3.5)
    else if (result != Z_OK && result != Z_BUF_ERROR)
      return Inflated::broken;
  } while (in_.avail_in > 0 || in_.avail_out == 0);
  return Inflated::yes;
}

WebSocketDeflate::Inflated WebSocketDeflate::inflate_end(std::string& to, std::size_t most) {
  const auto result = inflate(kTail, to, most);
  if (terms_.client_fresh) inflateReset(&in_);
  return result;
}

std::string WebSocketDeflate::deflate(std::string_view message) {
  std::string to;
  std::array<unsigned char, kPiece> piece;
  out_.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(message.data()));
  out_.avail_in = static_cast<unsigned>(message.size());
  do {
    out_.next_out = piece.data();
    out_.avail_out = piece.size();
    ::deflate(&out_, Z_SYNC_FLUSH);
    to.append(reinterpret_cast<char*>(piece.data()), piece.size() - out_.avail_out);
  } while (out_.avail_out == 0);
  if (to.ends_with(kTail)) to.resize(to.size() - kTail.size());
  if (to.empty()) to.push_back('\0');  // an empty message (section 7.2.3.6)
  if (terms_.server_fresh) deflateReset(&out_);
  return to;
}

}  // namespace fivefold::python
