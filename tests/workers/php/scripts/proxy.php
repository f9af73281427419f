<?php
echo json_encode([$_SERVER['HTTP_PROXY'] ?? null, getenv('HTTP_PROXY'), getenv('http_proxy')]);
