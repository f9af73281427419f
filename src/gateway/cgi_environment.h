#pragma once
// The environment of a CGI program (RFC 3875 section 4.1) from a request: bytes only.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exchange/exchange.h"
#include "http/head.h"
#include "process/spawn_plan.h"

namespace fivefold::gateway {

// What is the same for every request of one program.
struct CgiSettings {
  std::string software = "Fivefold/" FIVEFOLD_VERSION;  // SERVER_SOFTWARE
  std::string server_name = {};                         // SERVER_NAME of a request that names no host
  std::string document_root = {};                       // DOCUMENT_ROOT, and what PATH_TRANSLATED is taken from
  bool pass_authorization = false;                      // Authorization reaches the program (RFC 3875 section 9.2)
  // The operator's own variables. Names that the server computes, and HTTP_* (but for HTTP_PROXY), are left out: they
  // cannot be overridden or supplied in advance (CVE-2025-65082, CVE-2018-1283). PATH may be set; the last of two equal
  // names counts.
  std::vector<std::pair<std::string, std::string>> env = {};
  bool search_path = true;  // a PATH, for what is the environment of a process
};

// One request. Everything is a view that must live until build() returns.
struct CgiRequest {
  const http::Head& head;
  const exchange::Peer& peer;
  std::string_view script_name = {};      // the part of the decoded path that names the script; may be empty
  std::string_view path_info = {};        // the rest of it; empty or begins with '/'
  std::string_view script_filename = {};  // the file that is executed
  std::optional<std::uint64_t> content_length =
      {};                            // of the body as the program will read it; nothing when there is no body
  std::string_view request_id = {};  // 32 hex digits
  std::string_view user = {};        // whom the server has authenticated, and how; empty: nobody
  std::string_view auth_type = {};
  // After a local redirect: the raw path and query that the client had asked for; an empty path: there was none.
  std::string_view redirected_path = {};
  std::string_view redirected_query = {};
};

inline constexpr std::string_view kDefaultSearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

class CgiEnvironment {
 public:
  explicit CgiEnvironment(CgiSettings settings);

  // The whole environment; no variable occurs twice, and none has a NUL. Any thread.
  process::StringBlock build(const CgiRequest& request) const;

  // The operator's variables that were left out because the server computes them; for a warning at start.
  const std::vector<std::string>& refused() const { return refused_; }

 private:
  CgiSettings settings_;
  std::vector<std::string> refused_;
};

// Whether a variable of this name is the server's to set.
bool is_reserved_variable(std::string_view name);

}  // namespace fivefold::gateway
