<?php
// The front controller: every path that is neither a script nor a file comes here.
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path !== '/') {
    http_response_code(404);
}
?>
<!doctype html>
<title>PHP in a worker</title>
<link rel="stylesheet" href="/style.css">
<h1><?= htmlspecialchars($path === '/' ? 'It runs' : "There is no page $path") ?></h1>
<p>PHP <?= PHP_VERSION ?> in process <?= getmypid() ?>, by <?= htmlspecialchars($_SERVER['SERVER_SOFTWARE']) ?>.</p>
<ul>
  <li><a href="/visits.php">a session that counts</a></li>
  <li><a href="/hello.php/world">a path behind a script</a></li>
  <li><a href="/slow.php">output as it comes</a></li>
</ul>
