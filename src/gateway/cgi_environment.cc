#include "gateway/cgi_environment.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace fivefold::gateway {
namespace {

using process::StringBlock;

// Everything that build() may set, whether or not a given request makes it do so.
constexpr std::array<std::string_view, 35> kReserved = {"AUTH_TYPE",
                                                        "CONTENT_LENGTH",
                                                        "CONTENT_TYPE",
                                                        "DOCUMENT_ROOT",
                                                        "GATEWAY_INTERFACE",
                                                        "HTTPS",
                                                        "PATH_INFO",
                                                        "PATH_TRANSLATED",
                                                        "QUERY_STRING",
                                                        "REDIRECT_STATUS",
                                                        "REDIRECT_URL",
                                                        "REDIRECT_QUERY_STRING",
                                                        "REMOTE_ADDR",
                                                        "REMOTE_HOST",
                                                        "REMOTE_IDENT",
                                                        "REMOTE_PORT",
                                                        "REMOTE_USER",
                                                        "REQUEST_ID",
                                                        "REQUEST_METHOD",
                                                        "REQUEST_SCHEME",
                                                        "REQUEST_URI",
                                                        "SCRIPT_FILENAME",
                                                        "SCRIPT_NAME",
                                                        "SERVER_ADDR",
                                                        "SERVER_NAME",
                                                        "SERVER_PORT",
                                                        "SERVER_PROTOCOL",
                                                        "SERVER_SOFTWARE",
                                                        "TRACEPARENT",
                                                        "UNIQUE_ID",
                                                        "SCRIPT_URI",
                                                        "SCRIPT_URL",
                                                        "REDIRECT_REMOTE_USER",
                                                        "REDIRECT_REQUEST_METHOD",
                                                        "REDIRECT_HTTP_AUTHORIZATION"};

// What a byte of a field name becomes in a variable's name; 0 for bytes that make the field be left out. Letters,
// digits and '-' alone: so "X_Forwarded_For" and "X.Forwarded.For" can never pass for "X-Forwarded-For".
constexpr auto kVariableByte = [] {
  std::array<char, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = static_cast<char>(c);
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = static_cast<char>(c);
  for (int c = 'a'; c <= 'z'; ++c) table[c] = static_cast<char>(c - 32);
  table['-'] = '_';
  return table;
}();

// "HTTP_ACCEPT_LANGUAGE" of "Accept-Language", into `variable`; false when the name has a byte that has no place in
// one.
bool variable_of(std::string_view field_name, std::string& variable) {
  variable.assign("HTTP_");
  for (const char c : field_name) {
    const char mapped = kVariableByte[static_cast<unsigned char>(c)];
    if (mapped == 0) return false;
    variable.push_back(mapped);
  }
  return !field_name.empty();
}

// Fields that do not become HTTP_*: they have variables of their own, are the server's business alone, or are
// dangerous.
bool is_withheld(std::string_view name, bool pass_authorization) {
  switch (name.size()) {
    case 2:
      return equals_ignoring_case(name, "TE");
    case 4:
      return equals_ignoring_case(name, "Host");  // set from the validated host
    case 5:
      return equals_ignoring_case(name, "Proxy");  // CVE-2016-5385: HTTP_PROXY is a setting of HTTP clients
    case 6:
      return equals_ignoring_case(name, "Expect");
    case 7:
      return equals_ignoring_case(name, "Trailer") || equals_ignoring_case(name, "Upgrade");
    case 10:
      return equals_ignoring_case(name, "Connection") || equals_ignoring_case(name, "Keep-Alive");
    case 12:
      return equals_ignoring_case(name, "Content-Type");
    case 13:
      return !pass_authorization && equals_ignoring_case(name, "Authorization");
    case 14:
      return equals_ignoring_case(name, "Content-Length");
    case 16:
      return equals_ignoring_case(name, "Proxy-Connection");
    case 17:
      return equals_ignoring_case(name, "Transfer-Encoding");
    case 19:
      return equals_ignoring_case(name, "Proxy-Authorization");  // meant for a proxy on the way, never for a program
    default:
      return false;
  }
}

class Builder {
 public:
  explicit Builder(std::size_t expected) { block_.reserve(expected); }

  void add(std::string_view name, std::string_view value) {
    // A NUL would end the value early and make the rest a variable of its own.
    if (value.find('\0') == std::string_view::npos) block_.add(name, value);
  }
  void add_number(std::string_view name, std::uint64_t value) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    block_.add(name, {digits, static_cast<std::size_t>(end - digits)});
  }
  void add_pair(std::string_view name, std::string_view front, std::string_view back) {
    scratch_.assign(front).append(back);
    add(name, scratch_);
  }

  // HTTP_* (RFC 3875 section 4.1.18). Returns whether X-Request-Id and traceparent were among them.
  struct Seen {
    bool request_id = false, traceparent = false;
  };
  Seen add_fields(const std::vector<http::Field>& fields, bool pass_authorization) {
    Seen seen;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const auto& field = fields[i];
      if (is_withheld(field.name, pass_authorization) || came_before(fields, i) || !variable_of(field.name, name_))
        continue;
      if (name_ == "HTTP_X_REQUEST_ID") seen.request_id = true;
      if (name_ == "HTTP_TRACEPARENT") seen.traceparent = true;
      add(name_, joined(fields, i));
    }
    return seen;
  }

  StringBlock take() { return std::move(block_); }

 private:
  static bool same_name(const http::Field& a, const http::Field& b) {
    return a.name.size() == b.name.size() && equals_ignoring_case(a.name, b.name);
  }
  static bool came_before(const std::vector<http::Field>& fields, std::size_t index) {
    for (std::size_t i = 0; i < index; ++i)
      if (same_name(fields[i], fields[index])) return true;
    return false;
  }
  // The values of every field of that name as one (RFC 9110 section 5.3; Cookie by RFC 6265 section 5.4).
  std::string_view joined(const std::vector<http::Field>& fields, std::size_t index) {
    bool repeated = false;
    for (std::size_t i = index + 1; i < fields.size(); ++i) {
      if (!same_name(fields[i], fields[index])) continue;
      if (!repeated) scratch_.assign(fields[index].value);
      repeated = true;
      scratch_.append(equals_ignoring_case(fields[index].name, "Cookie") ? "; " : ", ").append(fields[i].value);
    }
    return repeated ? std::string_view(scratch_) : fields[index].value;
  }

  StringBlock block_;
  std::string name_;
  std::string scratch_;
};

std::string_view protocol_of(const http::Head& head) { return head.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1"; }

std::uint16_t server_port(const CgiRequest& request) {
  if (request.peer.local_port != 0) return request.peer.local_port;
  return request.head.port.value_or(request.peer.secure ? 443 : 80);  // a Unix socket has no port of its own
}

std::string_view server_name(const CgiRequest& request, const CgiSettings& settings) {
  if (!request.head.host.empty()) return request.head.host;
  return settings.server_name.empty() ? std::string_view(request.peer.local_address)
                                      : std::string_view(settings.server_name);
}

}  // namespace

bool is_reserved_variable(std::string_view name) {
  if (name.starts_with("HTTP_")) return name != "HTTP_PROXY";
  return std::ranges::find(kReserved, name) != kReserved.end();
}

CgiEnvironment::CgiEnvironment(CgiSettings settings) : settings_(std::move(settings)) {
  std::vector<std::pair<std::string, std::string>> kept;
  for (auto& [name, value] : settings_.env) {
    const bool impossible = name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos ||
                            value.find('\0') != std::string::npos;
    if (impossible || is_reserved_variable(name)) {
      refused_.push_back(name);
      continue;
    }
    std::erase_if(kept, [&name](const auto& earlier) { return earlier.first == name; });
    kept.emplace_back(std::move(name), std::move(value));
  }
  if (settings_.search_path &&
      std::ranges::find(kept, "PATH", &std::pair<std::string, std::string>::first) == kept.end())
    kept.emplace_back("PATH", kDefaultSearchPath);
  settings_.env = std::move(kept);
}

StringBlock CgiEnvironment::build(const CgiRequest& request) const {
  const http::Head& head = request.head;
  const exchange::Peer& peer = request.peer;
  Builder out(4096);

  for (const auto& [name, value] : settings_.env) out.add(name, value);

  // RFC 3875 section 4.1, in its order.
  if (!request.auth_type.empty()) out.add("AUTH_TYPE", request.auth_type);
  if (request.content_length) out.add_number("CONTENT_LENGTH", *request.content_length);
  if (const auto type = head.field("Content-Type")) out.add("CONTENT_TYPE", *type);
  out.add("GATEWAY_INTERFACE", "CGI/1.1");
  if (!request.path_info.empty()) {
    out.add("PATH_INFO", request.path_info);
    if (!settings_.document_root.empty()) out.add_pair("PATH_TRANSLATED", settings_.document_root, request.path_info);
  }
  out.add("QUERY_STRING", head.query);
  out.add("REMOTE_ADDR", peer.address);
  if (!request.user.empty()) out.add("REMOTE_USER", request.user);
  out.add("REQUEST_METHOD", head.method_text);
  out.add("SCRIPT_NAME", request.script_name);
  out.add("SERVER_NAME", server_name(request, settings_));
  out.add_number("SERVER_PORT", server_port(request));
  out.add("SERVER_PROTOCOL", protocol_of(head));
  out.add("SERVER_SOFTWARE", settings_.software);

  // What programs have come to expect beside it.
  if (!settings_.document_root.empty()) out.add("DOCUMENT_ROOT", settings_.document_root);
  out.add("SCRIPT_FILENAME", request.script_filename);
  if (head.form == http::TargetForm::absolute)
    out.add_pair("REQUEST_URI", head.raw_path, head.has_query ? std::string("?").append(head.query) : std::string());
  else
    out.add("REQUEST_URI", head.target);
  out.add("REQUEST_SCHEME", peer.secure ? "https" : "http");
  if (peer.secure) out.add("HTTPS", "on");
  if (peer.port != 0) out.add_number("REMOTE_PORT", peer.port);
  if (!peer.local_address.empty()) out.add("SERVER_ADDR", peer.local_address);
  out.add("REDIRECT_STATUS", "200");  // php-cgi runs only when it is there (cgi.force_redirect)
  if (!request.redirected_path.empty()) {
    out.add("REDIRECT_URL", request.redirected_path);
    out.add("REDIRECT_QUERY_STRING", request.redirected_query);
  }

  if (!head.host_field.empty()) out.add("HTTP_HOST", head.host_field);
  const auto seen = out.add_fields(head.fields, settings_.pass_authorization);
  if (!request.request_id.empty()) {
    out.add("REQUEST_ID", request.request_id);
    out.add("UNIQUE_ID", request.request_id);
    if (!seen.request_id) out.add("HTTP_X_REQUEST_ID", request.request_id);
    if (!seen.traceparent && request.request_id.size() == 32) {
      // W3C Trace Context: the request id is the trace, its second half the parent span.
      std::array<char, 55> trace;
      auto at = std::copy_n("00-", 3, trace.begin());
      at = std::ranges::copy(request.request_id, at).out;
      *at++ = '-';
      at = std::ranges::copy(request.request_id.substr(16), at).out;
      std::copy_n("-01", 3, at);
      out.add("TRACEPARENT", {trace.data(), trace.size()});
    }
  }
  return out.take();
}

}  // namespace fivefold::gateway
