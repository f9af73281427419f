<?php
header('HTTP/1.1 418 I am a teapot');
