#pragma once
// What the keeper and the server tell each other: a JSON object with descriptors, over a SOCK_SEQPACKET socket.
//
// A parcel of any size crosses as one or more messages. Each begins with '+' (more to come) or '.' (the last); the rest
// of their bytes, joined, is the JSON text, and their descriptors, joined, are the parcel's. `fds` in the JSON are
// indices into that list.
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace fivefold::app {

struct Parcel {
  nlohmann::json content;
  std::vector<UniqueFd> fds;
};

inline constexpr std::size_t kParcelPiece = 64 * 1024;         // bytes of JSON in one message
inline constexpr std::size_t kParcelDescriptors = 200;         // descriptors in one message; the kernel takes 253
inline constexpr std::size_t kParcelLimit = 64 * 1024 * 1024;  // a whole parcel; over it the sender is not one of ours

// Sends the whole parcel on a blocking socket. The descriptors stay the caller's.
Result<void> send_parcel(int socket, const nlohmann::json& content, std::span<const int> fds = {});

// Puts messages together again.
class ParcelReader {
 public:
  explicit ParcelReader(std::size_t limit = kParcelLimit) : limit_(limit) {}
  // The parcel when `message` was its last piece, nothing when more is to come. Code::internal when this is no parcel.
  Result<std::optional<Parcel>> feed(std::string_view message, std::vector<UniqueFd> fds);

 private:
  std::size_t limit_;
  std::string bytes_;
  std::vector<UniqueFd> fds_;
};

// Reads messages from a blocking socket until a parcel is whole. Code::closed when the other end is gone.
Result<Parcel> receive_parcel(int socket, ParcelReader& reader);

// Collects the descriptors of a parcel while its JSON is written: add() gives the index to write.
class DescriptorList {
 public:
  // -1 for no descriptor.
  int add(int fd) {
    if (fd < 0) return -1;
    fds_.push_back(fd);
    return static_cast<int>(fds_.size()) - 1;
  }
  std::span<const int> all() const { return fds_; }

 private:
  std::vector<int> fds_;
};

// The descriptor that index `value` of the JSON names, moved out of the parcel; empty for -1 or an index that is not
// there.
UniqueFd take_descriptor(Parcel& parcel, const nlohmann::json& value);

}  // namespace fivefold::app
