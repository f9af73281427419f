#pragma once
// TLS towards an application, by OpenSSL, with the peer verified.
#include <memory>
#include <string>

#include "base/error.h"
#include "net/stream.h"

namespace fivefold::net {

struct TlsClientSettings {
  std::string server_name;  // for SNI and the check of the certificate's name; an IP address is checked as one
  std::string ca_file;      // PEM, whom to trust: authorities, or the very certificate; empty: the system's
  bool verify = true;       // false: any certificate; said loudly in the log by whoever configures it
  std::string certificate;  // PEM file of a client certificate with its chain; empty: none
  std::string key;          // its key (PEM, without a password); empty: in the same file
};

// Made once for each upstream, shared by all loops. TLS 1.2 or later, without renegotiation.
class TlsClient {
 public:
  static Result<std::shared_ptr<TlsClient>> make(
      TlsClientSettings settings);  // Code::internal: a file that cannot be used, in words
  virtual ~TlsClient() = default;
  // Shakes hands over a connected stream, which speaks TLS from then on (reads, writes and the end of the stream alike:
  // an end without close_notify is Code::closed, not an end). Code::program_unavailable in words ("the certificate of x
  // is not trusted: self-signed certificate"), Code::timed_out at the deadline; then the stream is of no more use. May
  // be destroyed at any time; the stream outlives it. A certificate that the other side wants and does not get may show
  // only when reading: Code::closed.
  virtual Task<Result<void>> start(Stream& stream, TimePoint deadline) = 0;
};

}  // namespace fivefold::net
