#include "http/response_head.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "http/status.h"

namespace fivefold::http {
namespace {

enum class Kind : std::uint8_t { ordinary, date, server, request_id, ours, upgrade };

bool is_named(std::string_view name, std::string_view lower_name) { return equals_ignoring_case(name, lower_name); }

// What the serializer does with a field of that name. The first letter settles most of them.
Kind kind_of(std::string_view name) {
  switch (ascii_lower(name.front())) {
    case 'c':
      return is_named(name, "content-length") || is_named(name, "connection") ? Kind::ours : Kind::ordinary;
    case 'd':
      return is_named(name, "date") ? Kind::date : Kind::ordinary;
    case 'k':
      return is_named(name, "keep-alive") ? Kind::ours : Kind::ordinary;
    case 'p':
      return is_named(name, "proxy-connection") ? Kind::ours : Kind::ordinary;
    case 's':
      return is_named(name, "server") ? Kind::server : Kind::ordinary;
    case 't':
      return is_named(name, "transfer-encoding") || is_named(name, "te") || is_named(name, "trailer") ? Kind::ours
                                                                                                      : Kind::ordinary;
    case 'u':
      return is_named(name, "upgrade") ? Kind::upgrade : Kind::ordinary;
    case 'x':
      return is_named(name, "x-request-id") ? Kind::request_id : Kind::ordinary;
    default:
      return Kind::ordinary;
  }
}

// "date: Sun, 06 Nov 1994 08:49:37 GMT": the only form that may be sent (RFC 9110 section 5.6.7). Programs send others.
bool has_sound_date(std::string_view line) {
  constexpr std::size_t kLength = std::string_view("Sun, 06 Nov 1994 08:49:37 GMT").size();
  line.remove_suffix(line.ends_with("\r\n") ? 2 : 1);
  const auto value = trim(line.substr(line.find(':') + 1));
  return value.size() == kLength && value[3] == ',' && value.ends_with(" GMT");
}

// Calls each(kind, line) for every line of the wire form, its CRLF included. A date that is none is ours to replace.
template <class Each>
void for_each_line(std::string_view wire, Each&& each) {
  while (!wire.empty()) {
    const auto line = wire.substr(0, wire.find('\n') + 1);
    const auto kind = kind_of(line.substr(0, line.find(':')));
    each(kind == Kind::date && !has_sound_date(line) ? Kind::ours : kind, line);
    wire.remove_prefix(line.size());
  }
}

bool is_printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

void append_status_line(int status, std::string_view reason, std::string& out) {
  if (status < 100 || status > 999) {
    status = 500;
    reason = {};
  }
  if (!is_printable_ascii(reason)) reason = {};  // CVE-2026-33523: never a byte more than the line can hold
  const auto line = reason.empty() ? status_line(status) : std::string_view{};
  if (!line.empty()) {
    out.append(line);
    return;
  }
  const char digits[] = {static_cast<char>('0' + status / 100), static_cast<char>('0' + status / 10 % 10),
                         static_cast<char>('0' + status % 10), ' '};
  out.append("HTTP/1.1 ").append(digits, sizeof digits);
  out.append(reason.empty() ? reason_phrase(status) : reason).append("\r\n");
}

void append_field(std::string_view name_and_colon, std::string_view value, std::string& out) {
  if (value.empty() || !is_field_value(value)) return;
  out.append(name_and_colon).append(value).append("\r\n");
}

void append_framing(const ResponseHead& head, std::string& out) {
  // RFC 9110 section 8.6, RFC 9112 section 6.1: neither field on 1xx and 204, whatever was asked for.
  if (head.status < 200 || head.status == 204) return;
  switch (head.framing.kind) {
    case Framing::Kind::length: {
      char digits[20];
      const auto end = std::to_chars(digits, digits + sizeof digits, head.framing.length).ptr;
      out.append("Content-Length: ").append(digits, end).append("\r\n");
      break;
    }
    case Framing::Kind::chunked:
      out.append("Transfer-Encoding: chunked\r\n");
      break;
    case Framing::Kind::none:
    case Framing::Kind::until_close:
      break;
  }
}

}  // namespace

void append_response_head(const ResponseHead& head, std::string& out) {
  using Connection = ResponseHead::Connection;
  const std::string_view wire = head.headers != nullptr ? std::string_view(head.headers->wire()) : std::string_view{};
  const bool upgrades = head.connection == Connection::upgrade;
  bool has_date = false, has_server = false, has_request_id = false, all_kept = true;
  for_each_line(wire, [&](Kind kind, std::string_view) {
    has_date = has_date || kind == Kind::date;
    has_server = has_server || kind == Kind::server;
    has_request_id = has_request_id || kind == Kind::request_id;
    if (kind == Kind::ours || (kind == Kind::upgrade && !upgrades)) all_kept = false;
  });

  append_status_line(head.status, head.reason, out);
  if (head.common != nullptr) {
    if (!has_date && !has_server) {
      out.append(head.common->wire());
    } else {
      for_each_line(head.common->wire(), [&](Kind kind, std::string_view line) {
        if ((kind != Kind::date || !has_date) && (kind != Kind::server || !has_server)) out.append(line);
      });
    }
  }
  if (!has_date) append_field("Date: ", head.date, out);
  if (!has_server) append_field("Server: ", head.server, out);
  if (!has_request_id) append_field("X-Request-Id: ", head.request_id, out);
  if (all_kept) {
    out.append(wire);
  } else {
    for_each_line(wire, [&](Kind kind, std::string_view line) {
      if (kind != Kind::ours && (kind != Kind::upgrade || upgrades)) out.append(line);
    });
  }
  append_framing(head, out);
  switch (head.connection) {
    case Connection::unsaid:
      break;
    case Connection::close:
      out.append("Connection: close\r\n");
      break;
    case Connection::keep_alive:
      out.append("Connection: keep-alive\r\n");
      break;
    case Connection::upgrade:
      out.append("Connection: upgrade\r\n");
      break;
  }
  out.append("\r\n");
}

}  // namespace fivefold::http
