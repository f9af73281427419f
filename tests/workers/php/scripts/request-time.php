<?php
echo json_encode([$_SERVER['REQUEST_TIME'], $_SERVER['REQUEST_TIME_FLOAT'], microtime(true)]);
