#pragma once
// For tests of calls in HTTP/2: an application that is a scripted nghttp2 server on a thread of its own.
#include <map>

#include "upstream/call_rig_test.h"
#include "upstream/h2c_call.h"

namespace fivefold::upstream {

// One connection's server. `on_request` is called when a request is whole, or with `at_head` when its head is; it
// answers with the functions below.
class H2App {
 public:
  struct Stream {
    std::string method, path, authority, body, fields;
    std::string answer;  // of the body
    std::size_t answered = 0;
    std::vector<std::pair<std::string, std::string>> trailers;
    bool open_end = false;  // the body goes on
  };
  using Request = std::function<void(H2App&, std::int32_t, Stream&)>;

  H2App(AppSide& side, Request on_request, bool at_head = false, std::uint32_t most = 100)
      : side_(side), on_request_(std::move(on_request)), at_head_(at_head) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, &H2App::begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, &H2App::header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &H2App::frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &H2App::data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &H2App::closed);
    nghttp2_session_server_new(&session, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry entry{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, most};
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &entry, 1);
  }
  ~H2App() { nghttp2_session_del(session); }

  // Until the connection ends.
  void run() {
    flush();
    while (!stop) {
      char bytes[16384];
      pollfd wait{side_.fd(), POLLIN, 0};
      if (::poll(&wait, 1, 20'000) != 1) return;
      const auto got = ::recv(side_.fd(), bytes, sizeof bytes, 0);
      if (got <= 0) return;
      if (nghttp2_session_mem_recv(session, reinterpret_cast<std::uint8_t*>(bytes), static_cast<std::size_t>(got)) < 0)
        return;
      flush();
    }
  }
  void flush() {
    while (true) {
      const std::uint8_t* bytes = nullptr;
      const auto size = nghttp2_session_mem_send(session, &bytes);
      if (size <= 0) return;
      side_.send({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
    }
  }
  using Fields = std::vector<std::pair<std::string, std::string>>;
  static std::vector<nghttp2_nv> pairs(const Fields& fields) {
    std::vector<nghttp2_nv> result;
    for (const auto& [name, value] : fields)
      result.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                        reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                        0});
    return result;
  }
  void interim(std::int32_t id, const Fields& fields) {
    const auto nva = pairs(fields);
    nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, id, nullptr, nva.data(), nva.size(), nullptr);
  }
  void respond(std::int32_t id, const Fields& fields, std::string body, Fields trailers = {}, bool open_end = false) {
    auto& stream = streams[id];
    stream.answer = std::move(body);
    stream.trailers = std::move(trailers);
    stream.open_end = open_end;
    const auto nva = pairs(fields);
    nghttp2_data_provider provider{{.ptr = nullptr}, &H2App::read};
    nghttp2_submit_response(session, id, nva.data(), nva.size(),
                            stream.answer.empty() && stream.trailers.empty() && !open_end ? nullptr : &provider);
  }
  void append(std::int32_t id, std::string_view bytes, bool end) {
    auto& stream = streams[id];
    stream.answer += bytes;
    stream.open_end = !end;
    nghttp2_session_resume_data(session, id);
  }

  nghttp2_session* session = nullptr;
  std::map<std::int32_t, Stream> streams;
  std::size_t most_open = 0, open = 0;
  std::vector<std::uint32_t> closed_with;
  bool stop = false;

 private:
  static H2App& self(void* user) { return *static_cast<H2App*>(user); }
  static int begin(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    self(user).streams[frame->hd.stream_id] = {};
    self(user).most_open = std::max(self(user).most_open, ++self(user).open);
    return 0;
  }
  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* n, std::size_t ns,
                    const std::uint8_t* v, std::size_t vs, std::uint8_t, void* user) {
    auto& stream = self(user).streams[frame->hd.stream_id];
    const std::string name(reinterpret_cast<const char*>(n), ns), value(reinterpret_cast<const char*>(v), vs);
    if (name == ":method")
      stream.method = value;
    else if (name == ":path")
      stream.path = value;
    else if (name == ":authority")
      stream.authority = value;
    else
      stream.fields += name + ": " + value + "\n";
    return 0;
  }
  static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    auto& app = self(user);
    const bool head = frame->hd.type == NGHTTP2_HEADERS;
    const bool end = (head || frame->hd.type == NGHTTP2_DATA) && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (app.at_head_ ? head : end) app.on_request_(app, frame->hd.stream_id, app.streams[frame->hd.stream_id]);
    return 0;
  }
  static int data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes, std::size_t size,
                  void* user) {
    self(user).streams[id].body.append(reinterpret_cast<const char*>(bytes), size);
    return 0;
  }
  static int closed(nghttp2_session*, std::int32_t, std::uint32_t error_code, void* user) {
    --self(user).open;
    self(user).closed_with.push_back(error_code);
    return 0;
  }
  static ssize_t read(nghttp2_session* session, std::int32_t id, std::uint8_t* into, std::size_t size,
                      std::uint32_t* flags, nghttp2_data_source*, void* user) {
    auto& stream = self(user).streams[id];
    const auto part = std::string_view(stream.answer).substr(stream.answered, size);
    part.copy(reinterpret_cast<char*>(into), part.size());
    stream.answered += part.size();
    if (stream.answered < stream.answer.size()) return static_cast<ssize_t>(part.size());
    if (stream.open_end)
      return part.empty() ? static_cast<ssize_t>(NGHTTP2_ERR_DEFERRED) : static_cast<ssize_t>(part.size());
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!stream.trailers.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const auto nva = pairs(stream.trailers);
      nghttp2_submit_trailer(session, id, nva.data(), nva.size());
    }
    return static_cast<ssize_t>(part.size());
  }
  AppSide& side_;
  Request on_request_;
  bool at_head_;
};

struct Question {
  http::Method method = http::Method::get;
  std::string target = "/";
  std::function<exchange::Body(net::Loop&)> body = {};
  std::optional<std::uint64_t> body_length = {};
  std::string upgrade = {};
};

class H2cCall : public CallRig {
 protected:
  ~H2cCall() override { h2_.reset(); }

  void serve_h2(H2App::Request on_request, bool at_head = false, std::uint32_t most = 100) {
    serve([=](AppSide& side) {
      H2App app(side, on_request, at_head, most);
      app.run();
    });
    h2_.emplace(*home_);
  }
  net::Task<void> ask_for(Question question, Outcome& outcome) {
    Call call{.connection = nullptr,
              .home = *home_,
              .owner = std::make_unique<FakeOwner>(owner_),
              .exchange = exchange_,
              .timeouts = timeouts_};
    call.method = question.method;
    if (question.body) {
      call.has_body = true;
      call.body = question.body(loop_);
      call.body_length = question.body_length;
    }
    OutgoingHead head{.method = question.method == http::Method::get    ? "GET"
                                : question.method == http::Method::head ? "HEAD"
                                                                        : "POST",
                      .target = question.target,
                      .fields = {},
                      .upgrade = question.upgrade};
    head.fields.add("Host", "example.org");
    head.fields.add("X-Own", "Value");
    auto answer = co_await call_h2c(*h2_, std::move(call), std::move(head));
    if (!answer) {
      outcome.failure = std::move(answer.error());
      co_return;
    }
    outcome.status = answer->status;
    outcome.fields = answer->headers.wire();
    outcome.whole = answer->body.as_stream() == nullptr;
    outcome.length = answer->body.length();
    while (true) {
      auto chunk = co_await answer->body.next();
      if (!chunk) outcome.broken = std::move(chunk.error());
      if (!chunk || chunk->empty()) break;
      outcome.body.append(*chunk);
      if (on_chunk_) on_chunk_(*chunk);
    }
    if (const auto* stream = answer->body.as_stream(); stream && stream->trailers())
      outcome.trailers = stream->trailers()->wire();
  }
  Outcome ask(Question question = {}) {
    Outcome outcome;
    run(ask_for(std::move(question), outcome));
    return outcome;
  }
  std::vector<Outcome> ask_at_once(std::vector<Question> questions) {
    std::vector<Outcome> outcomes(questions.size());
    run(ask_all(std::move(questions), outcomes));
    return outcomes;
  }
  net::Task<void> ask_all(std::vector<Question> questions, std::vector<Outcome>& outcomes) {
    net::TaskGroup group;
    net::Event all(loop_);
    group.on_empty([&all] { all.set(); });
    for (std::size_t i = 0; i < questions.size(); ++i) group.start(ask_for(std::move(questions[i]), outcomes[i]));
    if (group.size() > 0) co_await all.wait();
  }

  // The answer to "/large", of which nothing is read.
  net::Task<void> ask_unread(exchange::Body& body) {
    Call call{.connection = nullptr,
              .home = *home_,
              .owner = std::make_unique<FakeOwner>(owner_),
              .exchange = exchange_,
              .timeouts = timeouts_};
    OutgoingHead head{.method = "GET", .target = "/large", .fields = {}};
    head.fields.add("Host", "example.org");
    auto answer = co_await call_h2c(*h2_, std::move(call), std::move(head));
    if (answer) body = std::move(answer->body);
  }

  std::optional<H2Connection> h2_;
  std::function<void(std::string_view)> on_chunk_;
};

inline std::function<exchange::Body(net::Loop&)> pieces_of(std::size_t count, std::string piece,
                                                           std::optional<Error> error = {}, bool ends = true) {
  return [=](net::Loop& loop) {
    return exchange::Body::stream(std::make_unique<Pieces>(loop, count, piece, error, ends));
  };
}

}  // namespace fivefold::upstream
