#pragma once
// The listening sockets: opened by the keeper, kept across servers and reloads, so that a connection once in their
// queue is answered.
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "app/parcel.h"
#include "base/unique_fd.h"
#include "config/config.h"
#include "serve/http_server.h"

namespace fivefold::app {

// The descriptors of one address; the last owner closes them and removes the unix socket's file, when it is still that
// socket's.
class BoundSocket {
 public:
  BoundSocket() = default;
  BoundSocket(const BoundSocket&) = delete;
  BoundSocket& operator=(const BoundSocket&) = delete;
  ~BoundSocket();

  std::vector<UniqueFd> fds;  // one per event loop for TCP (SO_REUSEPORT); one for a unix socket or an inherited one
  std::string bound;          // "http://127.0.0.1:8080", "unix:/run/x.sock"
  // Set for a unix socket that we made.
  std::string unix_path;
  dev_t device = 0;
  ino_t inode = 0;
};

struct OpenListener {
  config::Listen listen;  // `address` is the one address of this socket: "*:80" has become two
  std::shared_ptr<BoundSocket> socket;
};
using ListenerSet = std::vector<OpenListener>;

// Sockets that the service manager opened for us.
using ActivatedSockets = std::vector<std::shared_ptr<BoundSocket>>;

// "*:80" as "0.0.0.0:80" and "[::]:80"; everything else as it is. Two entries for one address become one.
std::vector<config::Listen> one_per_socket(const std::vector<config::Listen>& listen);

// What a change of the wanted addresses means; by address as in one_per_socket().
struct ListenerChange {
  std::vector<std::string> kept, added, removed;
};
ListenerChange compare(const std::vector<config::Listen>& current, const std::vector<config::Listen>& wanted);

struct OpenedListeners {
  ListenerSet listeners;            // in the order of the configuration
  std::vector<std::string> added;   // addresses opened by this call
  std::vector<std::string> faults;  // sentences; when there is one, `listeners` is not to be used
  std::vector<std::string> notes;   // worth a line in the log
};

// The sockets for `listen` (empty: the inherited ones, or 127.0.0.1:8080): those of `current` are kept, inherited ones
// taken where their address fits, others opened, `per_address` sockets for a TCP address.
OpenedListeners open_listeners(const std::vector<config::Listen>& listen, const ListenerSet& current,
                               const ActivatedSockets& activated, unsigned per_address);

// Wraps the descriptors that take_activated_sockets() gave; those that do not listen are left out, with a note each.
ActivatedSockets describe_activated(std::vector<UniqueFd> fds, std::vector<std::string>& notes);

// A socket's own address as it is printed, and whether it is the one that `listen` means.
std::string bound_name(int fd);
bool is_bound_to(int fd, const config::Listen& listen);

// Opens a listening unix socket. A file that is there is replaced only when it is a socket and nobody answers on it.
Result<std::shared_ptr<BoundSocket>> open_unix(const std::string& path, mode_t mode, int backlog);

// Crossing to the server. `only` (addresses) limits the descriptors that are passed; null passes all.
nlohmann::json to_json(const ListenerSet& listeners, DescriptorList& fds, const std::vector<std::string>* only);
std::vector<serve::ListeningSocket> listeners_from_json(Parcel& parcel, const nlohmann::json& json);

}  // namespace fivefold::app
