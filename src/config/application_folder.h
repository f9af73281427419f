#pragma once
// Which folders are applications, by the files that say so.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fivefold::config {

// An application's folder: its sources lie beside what it serves.
struct ApplicationFolder {
  enum class Sign : std::uint8_t {
    procfile,    // Procfile with a web: line
    django,      // manage.py
    wsgi,        // wsgi.py
    asgi,        // asgi.py
    psgi,        // app.psgi
    rack,        // config.ru
    package,     // package.json with a start script
    node,        // server.js, or another file of Node.js that listens
    python,      // app.py or main.py that makes an application of a known framework
    servlet,     // WEB-INF/web.xml
    executable,  // a program named server
  };
  Sign sign;
  std::string path;  // relative to the scanned folder; empty for itself
  std::string file;  // the file that says so: "wsgi.py"
};

// "a Python (WSGI) application"
std::string kind_of(ApplicationFolder::Sign sign);

// The application that `whole` (absolute, `path` beneath the scanned folder) is; `names` are the files and folders in
// it. Nothing is executed. Of several signs the more telling one counts: a Django project may have a package.json.
std::optional<ApplicationFolder> application_in(const std::string& whole, const std::string& path,
                                                const std::vector<std::string>& names);

// The command of the web: line of a Procfile; empty when there is none.
std::string web_process(const std::string& procfile);

// At most the first 256 KB of a file; empty when it cannot be read.
inline constexpr std::size_t kMostOfSource = 256 * 1024;
std::string read_source(const std::string& path);

}  // namespace fivefold::config
