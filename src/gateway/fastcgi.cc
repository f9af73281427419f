#include "gateway/fastcgi.h"

#include <algorithm>

#include "gateway/variables.h"

namespace fivefold::gateway {
namespace {

// FastCGI Specification 1.0, section 8.
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHeader = 8;
constexpr std::size_t kEndBody = 8;
constexpr std::uint8_t kBeginRequest = 1, kEndRequest = 3, kParams = 4, kStdin = 5, kStdout = 6, kStderr = 7;
constexpr std::uint8_t kResponder = 1;
constexpr std::uint8_t kKeepConnection = 1;
constexpr std::uint8_t kComplete = 0, kCannotMultiplex = 1, kOverloaded = 2, kUnknownRole = 3;

// FastcgiReader::state_
constexpr std::uint8_t kInHeader = 0, kInContent = 1, kInPadding = 2;

std::uint8_t byte(std::string_view bytes, std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); }
std::uint16_t number(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte(bytes, at) << 8 | byte(bytes, at + 1));
}

void append_header(std::uint8_t type, std::uint16_t id, std::size_t size, std::string& out) {
  const char header[kHeader] = {kVersion,
                                static_cast<char>(type),
                                static_cast<char>(id >> 8),
                                static_cast<char>(id),
                                static_cast<char>(size >> 8),
                                static_cast<char>(size),
                                0,
                                0};
  out.append(header, sizeof header);
}

// Section 3.4: one byte up to 127, else four with the highest bit set.
void append_length(std::size_t length, std::string& out) {
  if (length < 128) {
    out.push_back(static_cast<char>(length));
    return;
  }
  const auto four = static_cast<std::uint32_t>(length);
  out.push_back(static_cast<char>(four >> 24 | 0x80));
  out.push_back(static_cast<char>(four >> 16));
  out.push_back(static_cast<char>(four >> 8));
  out.push_back(static_cast<char>(four));
}

std::size_t length_size(std::size_t length) { return length < 128 ? 1 : 4; }

// The PARAMS stream. A pair stays within one record where it fits: PHP reads each record on its own.
class ParamsWriter {
 public:
  ParamsWriter(std::uint16_t id, std::string& out) : id_(id), out_(out) {}
  void add(std::string_view name, std::string_view value) {
    const std::size_t size = length_size(name.size()) + length_size(value.size()) + name.size() + value.size();
    if (size > kFastcgiMostContent - held()) end_record();
    begin_record();
    append_length(name.size(), out_);
    append_length(value.size(), out_);
    // Only a pair that is larger than a record goes on in the next.
    append(name);
    append(value);
  }
  void finish() {
    end_record();
    append_header(kParams, id_, 0, out_);
  }

 private:
  std::size_t held() const { return open_ ? out_.size() - start_ - kHeader : 0; }
  void begin_record() {
    if (open_) return;
    open_ = true;
    start_ = out_.size();
    append_header(kParams, id_, 0, out_);
  }
  void end_record() {
    if (!open_) return;
    const std::size_t size = held();
    out_[start_ + 4] = static_cast<char>(size >> 8);
    out_[start_ + 5] = static_cast<char>(size);
    open_ = false;
  }
  void append(std::string_view text) {
    while (!text.empty()) {
      if (held() == kFastcgiMostContent) end_record();
      begin_record();
      const auto piece = text.substr(0, kFastcgiMostContent - held());
      out_.append(piece);
      text.remove_prefix(piece.size());
    }
  }

  std::uint16_t id_;
  std::string& out_;
  std::size_t start_ = 0;
  bool open_ = false;
};

std::unexpected<Error> nonsense(std::string what) {
  return fail(Code::program_failed, "the application broke the FastCGI protocol: " + what);
}

}  // namespace

void append_fastcgi_begin(std::uint16_t id, bool keep, const process::StringBlock& environment, std::string& out) {
  out.reserve(out.size() + environment.bytes().size() + 8 * std::size_t{environment.count()} + 64);
  append_header(kBeginRequest, id, 8, out);
  const char body[8] = {0, kResponder, static_cast<char>(keep ? kKeepConnection : 0), 0, 0, 0, 0, 0};
  out.append(body, sizeof body);
  ParamsWriter params(id, out);
  for_each_variable(environment, [&params](std::string_view name, std::string_view value) { params.add(name, value); });
  params.finish();
}

void append_fastcgi_stdin_header(std::uint16_t id, std::size_t size, std::string& out) {
  append_header(kStdin, id, std::min(size, kFastcgiMostContent), out);
}

Result<FastcgiReader::Step> FastcgiReader::read(std::string_view bytes) {
  Step step;
  if (ended_) {
    step.ended = true;
    return step;
  }
  while (true) {
    const auto rest = bytes.substr(step.consumed);
    switch (state_) {
      case kInHeader: {
        if (rest.size() < kHeader) return step;
        if (byte(rest, 0) != kVersion)
          return nonsense("a record of version " + std::to_string(byte(rest, 0)) + " (is this a FastCGI application?)");
        type_ = byte(rest, 1);
        left_ = number(rest, 4);
        padding_ = byte(rest, 6);
        if (number(rest, 2) != id_)
          return nonsense("a record of request " + std::to_string(number(rest, 2)) + ", which was not asked");
        if (type_ != kStdout && type_ != kStderr && type_ != kEndRequest)
          return nonsense("a record of type " + std::to_string(type_) + ", which an application does not send");
        if (type_ == kEndRequest && left_ != kEndBody)
          return nonsense("an END_REQUEST record of " + std::to_string(left_) + " bytes");
        step.consumed += kHeader;
        state_ = kInContent;
        break;
      }
      case kInContent: {
        if (type_ == kEndRequest) {
          if (rest.size() < kEndBody) return step;
          application_status_ =
              static_cast<std::uint32_t>(number(rest, 0)) << 16 | static_cast<std::uint32_t>(number(rest, 2));
          protocol_status_ = byte(rest, 4);
          step.consumed += kEndBody;
          left_ = 0;
          state_ = kInPadding;
          break;
        }
        if (left_ == 0) {  // the end of the stream, or a flush of nothing: END_REQUEST is what counts
          state_ = kInPadding;
          break;
        }
        if (rest.empty()) return step;
        const auto data = rest.substr(0, left_);
        (type_ == kStdout ? step.output : step.error_output) = data;
        step.consumed += data.size();
        left_ -= static_cast<std::uint32_t>(data.size());
        if (left_ == 0) state_ = kInPadding;
        return step;
      }
      default: {
        const auto skipped = std::min<std::size_t>(rest.size(), padding_);
        step.consumed += skipped;
        padding_ -= static_cast<std::uint32_t>(skipped);
        if (padding_ > 0) return step;
        state_ = kInHeader;
        if (type_ != kEndRequest) break;
        ended_ = step.ended = true;
        return step;
      }
    }
  }
}

Result<std::uint32_t> FastcgiReader::outcome() const {
  if (!ended_) return nonsense("the request has not ended");
  switch (protocol_status_) {
    case kComplete:
      return application_status_;
    case kCannotMultiplex:
      return fail(Code::program_failed,
                  "the application refused the request: it cannot serve a second request on one connection at a time, "
                  "though none was under way");
    case kOverloaded:
      return fail(Code::program_unavailable, "the application refused the request: it is overloaded");
    case kUnknownRole:
      return fail(Code::program_failed,
                  "the application refused the request: it does not serve the responder role (is it a FastCGI "
                  "authorizer or filter?)");
    default:
      return nonsense("an END_REQUEST record with protocol status " + std::to_string(protocol_status_));
  }
}

}  // namespace fivefold::gateway
