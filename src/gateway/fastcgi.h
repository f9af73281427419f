#pragma once
// FastCGI 1.0 as a web server speaks it: bytes only. One request at a time on a connection (no multiplexing).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "process/spawn_plan.h"

namespace fivefold::gateway {

inline constexpr std::size_t kFastcgiMostContent = 65535;  // of one record
inline constexpr std::uint16_t kFastcgiId = 1;             // of the one request that is under way on a connection

// BEGIN_REQUEST (responder) and the PARAMS stream, whole. `environment` is what CgiEnvironment::build() gives: each
// "NAME=value". `keep` asks the application to leave the connection open.
void append_fastcgi_begin(std::uint16_t id, bool keep, const process::StringBlock& environment, std::string& out);
// The header of a STDIN record for `size` bytes that follow (1 to kFastcgiMostContent), without padding; size 0 is the
// end of the stream.
void append_fastcgi_stdin_header(std::uint16_t id, std::size_t size, std::string& out);

// Reads what the application sends: hands out views into what it was fed. Every length is checked; a record of another
// id, a type that does not belong there, a bad version or an early end are Code::program_failed.
class FastcgiReader {
 public:
  explicit FastcgiReader(std::uint16_t id) : id_(id) {}
  struct Step {
    std::size_t consumed = 0;
    std::string_view output;        // of STDOUT
    std::string_view error_output;  // of STDERR
    bool ended = false;             // END_REQUEST has come
  };
  // Consumes up to the end of the next run of data, or what there is before it. Call it again with the rest until
  // nothing is consumed: then more bytes are needed. After the end nothing is consumed.
  Result<Step> read(std::string_view bytes);
  // After `ended`: FCGI_REQUEST_COMPLETE with an application status, or a sentence about the refusal (overloaded,
  // unknown role, cannot multiplex) as Code::program_unavailable or Code::program_failed.
  Result<std::uint32_t> outcome() const;

 private:
  std::uint16_t id_;
  std::uint8_t state_ = 0;
  std::uint8_t type_ = 0;
  std::uint32_t left_ = 0;  // of the record's content
  std::uint32_t padding_ = 0;
  bool ended_ = false;
  std::uint8_t protocol_status_ = 0;
  std::uint32_t application_status_ = 0;
};

}  // namespace fivefold::gateway
