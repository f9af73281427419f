// A worker whose interpreter is a handful of answers: for the tests of the channel, and the smallest example of one.
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "channel/zygote.h"

namespace fivefold::worker {

namespace {

class Echo : public Interpreter {
 public:
  std::span<const std::string_view> settings() const override {
    static constexpr std::string_view known[] = {"fail"};
    return known;
  }
  std::expected<void, std::string> start(const Settings& settings) override {
    if (settings.has("fail")) return std::unexpected("It was told to fail: " + settings.one("fail"));
    root_ = settings.one("root", "nowhere");
    return {};
  }
  std::string version() override { return "Echo 1"; }
  void after_fork_in_worker() override { served_ = 0; }

  Outcome serve(Request& request) override {
    ++served_;
    const std::string_view path = request.variable("PATH_INFO");
    const std::string query(request.variable("QUERY_STRING"));
    const std::size_t number = std::strtoul(query.c_str(), nullptr, 10);
    if (path == "/variables") {
      request.head("Status: 200 OK\r\nContent-Type: text/plain\r\n");
      for (const Variable& one : request.variables()) {
        for (std::string_view piece : {one.name, std::string_view("="), one.value, std::string_view("\n")})
          request.write(piece);
      }
    } else if (path == "/body") {  // as it comes, in pieces of at most `number`
      request.head("Status: 200 OK\r\n");
      std::string piece(number > 0 ? number : 65536, '\0');
      ssize_t got = 0;
      while ((got = request.read_body(piece.data(), piece.size())) > 0)
        request.write(std::string_view(piece).substr(0, got));
      if (got < 0) return {false, protocol::kBroken, "The body broke."};
    } else if (path == "/large") {
      request.head("Status: 200 OK\r\n");
      request.write(std::string(number, 'x'));
    } else if (path == "/pieces") {
      request.head("Status: 200 OK\r\n");
      for (std::size_t i = 0; i < number; ++i) {
        request.write("piece ");
        request.flush();
      }
    } else if (path == "/until-abort") {
      request.head("Status: 200 OK\r\n");
      request.write("begun");
      while (request.flush()) poll(nullptr, 0, 5);
      request.log(6, "The reader has left.");
    } else if (path == "/finish") {
      request.head("Status: 200 OK\r\n");
      request.write("finished");
      request.finish();
      request.write("too late");
      poll(nullptr, 0, static_cast<int>(number));
      request.log(6, "after the end");
    } else if (path == "/hints") {
      request.interim("Status: 103\r\nLink: </a.css>; rel=preload\r\n");
      request.head("Status: 200 OK\r\n");
    } else if (path == "/log") {
      request.log(3, "first\nsecond");
      request.head("Status: 200 OK\r\n");
    } else if (path == "/fail") {
      return {false, protocol::kFailed, "It was asked to fail."};
    } else if (path == "/leave") {
      request.head("Status: 200 OK\r\n");
      return {true, 0, {}};
    } else if (path == "/fork") {  // the child comes back here, prints, and lives a while
      request.head("Status: 200 OK\r\n");
      if (fork() == 0) {
        request.write("of the child");
        request.flush();
        poll(nullptr, 0, static_cast<int>(number));
      } else {
        request.write("of the parent");
      }
    } else if (path == "/sleep") {
      poll(nullptr, 0, static_cast<int>(number));
      request.head("Status: 200 OK\r\n");
    } else if (path == "/crash") {
      request.head("Status: 200 OK\r\n");
      request.write("half an answer");
      if (number > 0) request.flush();
      std::abort();
    } else {
      request.head("Status: 200 OK\r\nX-Root: " + root_ + "\r\n");
      request.write("served " + std::to_string(served_));
    }
    return {};
  }

 private:
  std::string root_;
  int served_ = 0;
};

}  // namespace

}  // namespace fivefold::worker

int main(int argc, char** argv) {
  fivefold::worker::Echo echo;
  return fivefold::worker::run_zygote(echo, argc, argv);
}
