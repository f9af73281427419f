#include "upstream/h2_session.h"

#include <algorithm>
#include <array>

#include "upstream/words.h"

namespace fivefold::upstream {
namespace {

constexpr std::size_t kOutBuffer = 65536;              // frames that wait to be written
constexpr std::int32_t kConnectionWindow = 1'048'576;  // of all streams together; their own windows bound what is kept

H2StreamEvents* events_of(nghttp2_session* session, std::int32_t stream) {
  return static_cast<H2StreamEvents*>(nghttp2_session_get_stream_user_data(session, stream));
}

std::string_view view(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

// What nghttp2 calls while it reads and writes frames.
struct H2Session::Callbacks {
  static int begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void*) {
    if (frame->hd.type == NGHTTP2_HEADERS)
      if (auto* events = events_of(session, frame->hd.stream_id)) events->block_began();
    return 0;
  }
  static int header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t, void*) {
    auto* events = frame->hd.type == NGHTTP2_HEADERS ? events_of(session, frame->hd.stream_id) : nullptr;
    if (events && !events->field(view(name, name_size), view(value, value_size)))
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return 0;
  }
  static int frame_received(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    auto* self = static_cast<H2Session*>(user);
    if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
      self->settled_ = true;
      self->on_settled_.set();
    } else if (frame->hd.type == NGHTTP2_GOAWAY) {
      self->closing_ = true;
      self->tell_retired();
    } else if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) {
      auto* events = events_of(session, frame->hd.stream_id);
      if (events && frame->hd.type == NGHTTP2_HEADERS) events->block_ended();
      if (events && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) events->ended();
    }
    return 0;
  }
  static int data(nghttp2_session* session, std::uint8_t, std::int32_t stream, const std::uint8_t* bytes,
                  std::size_t size, void*) {
    nghttp2_session_consume_connection(session, size);  // a stream that is not read must not hold up the others
    if (auto* events = events_of(session, stream)) events->data(view(bytes, size));
    return 0;
  }
  static int closed(nghttp2_session* session, std::int32_t stream, std::uint32_t error_code, void* user) {
    auto* events = events_of(session, stream);
    if (!events) return 0;
    std::erase(static_cast<H2Session*>(user)->streams_, events);
    nghttp2_session_set_stream_user_data(session, stream, nullptr);
    events->closed(error_code);
    return 0;
  }
  static ssize_t body(nghttp2_session* session, std::int32_t stream, std::uint8_t* into, std::size_t size,
                      std::uint32_t* flags, nghttp2_data_source*, void*) {
    auto* events = events_of(session, stream);
    if (!events) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // let go of before it had left
    bool end = false;
    const std::size_t taken = events->read_body(reinterpret_cast<char*>(into), size, end);
    if (end) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (taken == 0 && !end) return NGHTTP2_ERR_DEFERRED;
    return static_cast<ssize_t>(taken);
  }
};

H2Session::H2Session(std::unique_ptr<Connection> connection, Connections& home, H2Limits limits,
                     std::function<void(const H2Session*)> retired)
    : connection_(std::move(connection)),
      loop_(home.loop()),
      peer_(home.endpoint().text()),
      limits_(limits),
      connect_timeout_(home.limits().connect_timeout),
      retired_(std::move(retired)),
      self_(std::make_shared<H2Session*>(this)),
      on_settled_(home.loop()) {}

H2Session::~H2Session() {
  *self_ = nullptr;
  reader_ = {};
  writer_ = {};
  if (!lost_ && !write_dead_ && !writing_ && session_) {
    nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR);
    (void)write_now();
  }
  nghttp2_session_del(session_);
}

void H2Session::start() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* option = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, &Callbacks::begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, &Callbacks::header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &Callbacks::frame_received);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &Callbacks::data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &Callbacks::closed);
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_session_client_new2(&session_, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  const std::array<nghttp2_settings_entry, 2> settings{
      nghttp2_settings_entry{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits_.stream_window}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  flush();
  reader_ = net::Running(read());
}

net::Task<Result<std::shared_ptr<H2Session>>> H2Session::open(Connections& home, H2Limits limits,
                                                              std::function<void(const H2Session*)> retired) {
  const auto deadline = home.loop().now() + home.limits().connect_timeout;
  auto connection = co_await home.open();
  if (!connection) co_return std::unexpected(std::move(connection.error()));
  std::shared_ptr<H2Session> session(new H2Session(std::move(*connection), home, limits, std::move(retired)));
  session->start();
  const bool heard = co_await session->on_settled_.wait(deadline);
  if (session->lost_) co_return std::unexpected(*session->lost_);
  if (!heard)
    co_return fail(Code::timed_out, "The application at " + session->peer_ + " did not begin to speak HTTP/2 within " +
                                        in_seconds(session->connect_timeout_) + ".");
  co_return session;
}

// ---- frames in ----

net::Task<void> H2Session::read() {
  net::Stream& stream = connection_->stream();
  while (true) {
    auto got = co_await stream.fill();
    if (!got || *got == 0) {
      lose({Code::program_failed, "The application at " + peer_ + " closed its HTTP/2 connection."});
      co_return;
    }
    last_heard_ = loop_.now();
    const auto bytes = stream.buffered();
    const bool speaks_http1 = !settled_ && bytes.starts_with("HTTP/1");
    const auto read =
        nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    stream.consume(bytes.size());
    flush();  // the reason of an end, too
    if (lost_) co_return;
    if (read >= 0 && (nghttp2_session_want_read(session_) != 0 || nghttp2_session_want_write(session_) != 0)) continue;
    if (!settled_)
      lose({Code::program_failed, "The application at " + peer_ +
                                      (speaks_http1 ? " speaks HTTP/1, not HTTP/2" : " does not speak HTTP/2") +
                                      "; set protocol = \"http\", or let it take HTTP/2 with prior knowledge (h2c)."});
    else
      lose({Code::program_failed,
            closing_ ? "The application at " + peer_ + " has ended its HTTP/2 connection."
                     : "The application at " + peer_ + " broke the rules of HTTP/2" +
                           (read < 0 ? std::string(": ") + nghttp2_strerror(static_cast<int>(read)) : "") + "."});
    co_return;
  }
}

void H2Session::lose(Error error) {
  if (lost_) return;
  lost_ = std::move(error);
  for (auto* events : std::exchange(streams_, {})) events->lost(*lost_);
  on_settled_.set();
  tell_retired();
}

void H2Session::tell_retired() {
  if (std::exchange(told_, true)) return;
  loop_.post([self = self_] {
    if (!*self) return;
    const auto retired = (*self)->retired_;  // may destroy the session
    retired(*self);
  });
}

// ---- frames out ----

// False: the connection takes no more at the moment.
bool H2Session::write_now() {
  while (true) {
    if (out_sent_ == out_.size()) {
      out_.clear();
      out_sent_ = 0;
      while (out_.size() < kOutBuffer) {
        const std::uint8_t* bytes = nullptr;
        const auto size = nghttp2_session_mem_send(session_, &bytes);
        if (size < 0)
          lose({Code::internal,
                std::string("HTTP/2 frames cannot be made: ") + nghttp2_strerror(static_cast<int>(size))});
        if (size <= 0) break;
        out_.append(view(bytes, static_cast<std::size_t>(size)));
      }
      if (out_.empty()) return true;
    }
    const iovec rest{out_.data() + out_sent_, out_.size() - out_sent_};
    const auto written = connection_->stream().write_some({&rest, 1});
    if (!written) {  // what has come before is still to be read: the reader finds the end
      write_dead_ = true;
      return true;
    }
    if (*written == 0) return false;
    out_sent_ += *written;
  }
}

void H2Session::flush() {
  if (lost_ || write_dead_ || writing_) return;
  if (write_now()) return;
  writing_ = true;
  writer_ = net::Running(write());
}

net::Task<void> H2Session::write() {
  while (true) {
    auto ready = co_await connection_->stream().writable(loop_.now() + limits_.send);
    if (!ready && ready.error().code == Code::timed_out)
      lose({Code::program_timeout, "The application at " + peer_ + " took nothing of its HTTP/2 connection for " +
                                       in_seconds(limits_.send) + "."});
    if (!ready) write_dead_ = true;
    if (!ready || write_now()) break;
  }
  writing_ = false;
}

// ---- streams ----

bool H2Session::takes_streams() const {
  return !lost_ && !closing_ && !write_dead_ && nghttp2_session_check_request_allowed(session_) != 0;
}

std::size_t H2Session::room() const {
  const std::size_t most = std::min(
      limits_.most_streams, nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
  return most - std::min(most, streams_.size());
}

void H2Session::retire() {
  closing_ = true;
  tell_retired();
}

Result<std::int32_t> H2Session::submit(std::span<const nghttp2_nv> fields, bool has_body, H2StreamEvents& events) {
  nghttp2_data_provider body{.source = {.ptr = nullptr}, .read_callback = &Callbacks::body};
  const auto stream =
      nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(), has_body ? &body : nullptr, &events);
  if (stream < 0)
    return fail(Code::program_unavailable, std::string("No HTTP/2 stream can be begun: ") + nghttp2_strerror(stream));
  ++submitted_;
  streams_.push_back(&events);
  return stream;
}

void H2Session::resume_body(std::int32_t stream) { nghttp2_session_resume_data(session_, stream); }

void H2Session::consumed(std::int32_t stream, std::size_t bytes) {
  nghttp2_session_consume_stream(session_, stream, bytes);
}

void H2Session::let_go(std::int32_t stream, H2StreamEvents& events) {
  if (std::erase(streams_, &events) == 0) return;  // it has ended by itself
  nghttp2_session_set_stream_user_data(session_, stream, nullptr);
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
  flush();
}

}  // namespace fivefold::upstream
