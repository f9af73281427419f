#pragma once
// TLS towards an application, by OpenSSL, with the peer verified.
#include <memory>
#include <string>

#include "base/error.h"
#include "net/stream.h"

namespace fivefold::net {

struct TlsClientSettings {
  std::string server_name;  // for SNI and the check of the certificate's name; an IP address is checked as one
  std::string ca_file;      // whom to trust; empty: the system's certificates
  bool verify = true;       // false: any certificate; said loudly in the log by whoever configures it
  std::string certificate;  // a client certificate (PEM) and its key, empty: none
  std::string key;
};

// Made once for each upstream, shared by all loops.
class TlsClient {
 public:
  static Result<std::shared_ptr<TlsClient>> make(
      TlsClientSettings settings);  // Code::internal: a file that cannot be used, in words
  virtual ~TlsClient() = default;
  // Shakes hands over a connected stream, which speaks TLS from then on (reads, writes and the end of the stream alike:
  // an end without close_notify is Code::closed, not an end). Code::program_unavailable in words ("the certificate of x
  // is not trusted: self-signed certificate").
  virtual Task<Result<void>> start(Stream& stream, TimePoint deadline) = 0;
};

}  // namespace fivefold::net
