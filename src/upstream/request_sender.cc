#include "upstream/request_sender.h"

#include <algorithm>

#include "gateway/fastcgi.h"
#include "http/chunked.h"
#include "upstream/words.h"

namespace fivefold::upstream {
namespace {

constexpr std::uint64_t kFileWindow = 262'144;  // of a spooled body, between two looks at the others

}  // namespace

void RequestSender::Parts::add(std::string_view bytes) {
  if (!bytes.empty()) items[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
}

void RequestSender::Parts::consume(std::size_t bytes) {
  while (first < count && bytes >= items[first].iov_len) bytes -= items[first++].iov_len;
  if (first < count) {
    items[first].iov_base = static_cast<char*>(items[first].iov_base) + bytes;
    items[first].iov_len -= bytes;
  }
}

RequestSender::RequestSender(net::Stream& stream, exchange::Body body, RequestFraming framing, milliseconds silence,
                             bool sendfile)
    : stream_(stream), body_(std::move(body)), framing_(framing), silence_(silence), sendfile_(sendfile) {}

RequestSender::~RequestSender() {
  if (self_) *self_ = nullptr;
}

bool RequestSender::streams() const {
  if (framing_.kind == RequestFraming::Kind::records) return true;
  if (framing_.kind == RequestFraming::Kind::none || body_.as_bytes() != nullptr) return false;
  return framing_.kind == RequestFraming::Kind::chunked || framing_.length > 0;
}

Result<void> RequestSender::start(std::string_view head) {
  Parts parts;
  parts.add(head);
  if (const auto* bytes = body_.as_bytes();
      bytes != nullptr && framing_.kind != RequestFraming::Kind::none && !streams())
    parts.add(bytes->view);
  const auto written = stream_.write_some(parts.rest());
  if (!written) return std::unexpected(written.error());
  last_sent_ = stream_.loop().now();
  parts.consume(*written);
  if (parts.done() && !streams()) {
    whole_ = true;
    return {};
  }
  pump_ = net::Running(run(parts));
  return {};
}

net::Task<void> RequestSender::run(Parts parts) {
  bool went_on = true;
  if (!parts.done()) {
    went_on = co_await send(parts);
  }
  if (went_on && streams()) {
    if (const auto* segment = body_.as_file(); segment != nullptr && sendfile_)
      went_on = co_await send_file(*segment);
    else
      went_on = co_await send_stream();
  }
  whole_ = went_on;
}

net::Task<bool> RequestSender::send(Parts parts) {
  while (!parts.done()) {
    const auto written = stream_.write_some(parts.rest());
    if (!written) co_return false;  // it may have answered before it closed: that is the reader's to find out
    if (*written > 0) last_sent_ = stream_.loop().now();
    parts.consume(*written);
    if (parts.done()) break;
    const bool ready = co_await wait_writable();
    if (!ready) co_return false;
  }
  co_return true;
}

net::Task<bool> RequestSender::wait_writable() {
  while (true) {
    auto ready = co_await stream_.writable(stream_.loop().now() + silence_);
    if (ready) co_return true;
    if (ready.error().code != Code::timed_out) co_return false;
    if (reader_waits_ && stream_.loop().now() - heard_ >= silence_) break;
  }
  give_up({Code::program_timeout,
           "The application took nothing of the request for " + in_seconds(silence_) + " (send timeout)."});
  co_return false;
}

// FastCGI: the bytes in STDIN records; none at all is the end of the stream, which `last` adds to the last of them.
net::Task<bool> RequestSender::send_records(std::string_view bytes, bool last) {
  std::string prefix, end;
  if (last && !bytes.empty()) gateway::append_fastcgi_stdin_header(gateway::kFastcgiId, 0, end);
  do {
    const auto piece = bytes.substr(0, gateway::kFastcgiMostContent);
    bytes.remove_prefix(piece.size());
    prefix.clear();
    gateway::append_fastcgi_stdin_header(gateway::kFastcgiId, piece.size(), prefix);
    Parts parts;
    parts.add(prefix);
    parts.add(piece);
    if (bytes.empty()) parts.add(end);
    const bool sent = co_await send(parts);
    if (!sent) co_return false;
  } while (!bytes.empty());
  co_return true;
}

net::Task<bool> RequestSender::send_file(exchange::FileSegment segment) {
  while (segment.length > 0) {
    const auto sent = stream_.send_file_some(segment.fd, segment.offset, std::min(segment.length, kFileWindow));
    if (!sent) {
      if (sent.error().code != Code::closed) give_up(sent.error());
      co_return false;
    }
    segment.length -= *sent;
    if (*sent > 0) {
      last_sent_ = stream_.loop().now();
      continue;
    }
    const bool ready = co_await wait_writable();
    if (!ready) co_return false;
  }
  co_return true;
}

net::Task<bool> RequestSender::send_stream() {
  const bool chunked = framing_.kind == RequestFraming::Kind::chunked;
  const bool records = framing_.kind == RequestFraming::Kind::records;
  const bool known = !chunked && framing_.length != RequestFraming::kUnknown;
  std::uint64_t left = framing_.length;
  if (records && left == 0) co_return co_await send_records({}, true);
  while (!known || left > 0) {
    touched_ = true;
    auto chunk = co_await body_.next();
    if (!chunk) {
      give_up(std::move(chunk.error()));
      co_return false;
    }
    const bool end = chunk->empty();
    if (known && (end || chunk->size() > left)) {
      give_up({Code::internal, "The request's body did not have the length that was announced."});
      co_return false;
    }
    if (known) left -= chunk->size();
    if (records) {
      const bool sent = co_await send_records(*chunk, known && left == 0);
      if (!sent) co_return false;
      if (end) break;
      continue;
    }
    const std::string prefix = chunked && !end ? http::chunk_prefix(chunk->size()) : std::string();
    Parts parts;
    if (chunked && end) {
      parts.add(http::kLastChunk);
    } else if (chunked) {
      parts.add(prefix);
      parts.add(*chunk);
      parts.add(http::kChunkEnd);
    } else {
      parts.add(*chunk);
    }
    const bool sent = co_await send(parts);
    if (!sent) co_return false;
    if (end) break;
  }
  co_return true;
}

// The reader is told from the top of the loop: it may destroy this.
void RequestSender::give_up(Error error) {
  failure_ = std::move(error);
  self_ = std::make_shared<RequestSender*>(this);
  stream_.loop().post([self = self_] {
    if (*self) (*self)->stream_.interrupt();
  });
}

}  // namespace fivefold::upstream
