"""What the documents say: places, names, goods, prose, numbers."""

from __future__ import annotations

import random


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PLACES = _words("北京 上海 广州 深圳 杭州 成都 武汉 西安 南京 苏州 天津 重庆 青岛 长沙 大连 厦门")
FIRMS = _words("华信 远大 天成 士林 日升 宏图 恒通 博雅 瑞丰 中科 东方 明珠 金桥 海川 永泰 千禧 未来 人和")
TRADES = _words("科技 贸易 物流 信息 电子 机械 食品 医药 建材 文化 商务 纺织")
GOODS = _words(
    "办公用品 打印纸 笔记本电脑 技术服务费 运输服务 餐饮服务 住宿费 咨询费 显示器 键盘鼠标 墨盒 硒鼓 "
    "矿泉水 绿茶 牛奶 面包 苹果 大米 食用油 洗衣液 牙膏 电池 数据线 保温杯"
)
PEOPLE = _words("王伟 李娜 张敏 刘洋 陈静 杨帆 赵磊 黄丽 周杰 吴天 徐末 孙士杰 朱日新 马千里 胡人")
PROSE = (
    "本合同一式两份双方各执一份自签字盖章之日起生效甲方应当在收到发票后三十个工作日内支付全部款项"
    "逾期未付的每日按照未付金额的万分之五支付违约金乙方保证所提供的货物符合国家标准以及双方约定的"
    "质量要求如有瑕疵应当无偿更换或者退货争议由双方协商解决协商不成的提交所在地人民法院诉讼解决"
    "未尽事宜可以另行签订补充协议与本合同具有同等法律效力"
)
_NUMERALS = "零壹贰叁肆伍陆柒捌玖"


def company(rng: random.Random) -> str:
    """A firm's name."""
    return f"{rng.choice(PLACES)}{rng.choice(FIRMS)}{rng.choice(TRADES)}有限公司"


def digits(rng: random.Random, count: int) -> str:
    """``count`` random digits."""
    return "".join(rng.choice("0123456789") for _ in range(count))


def tax_id(rng: random.Random) -> str:
    """Like a unified social credit code: 18 digits and letters."""
    return "91" + digits(rng, 6) + "MA" + "".join(rng.choice("0123456789ABCDEFGHJKLMNPQRTUWXY") for _ in range(8))


def date(rng: random.Random) -> str:
    """A date as invoices write it."""
    return f"{rng.randint(2019, 2026)}年{rng.randint(1, 12):02d}月{rng.randint(1, 28):02d}日"


def clock(rng: random.Random) -> str:
    """A time of day."""
    return f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"


def sentence(rng: random.Random, length: int) -> str:
    """``length`` characters that look like prose."""
    return "".join(rng.choice(PROSE) for _ in range(length))


def in_numerals(rng: random.Random, amount: float) -> str:
    """``amount`` in the numerals that cheques use, digit by digit."""
    whole, cents = f"{amount:.2f}".split(".")
    return "".join(_NUMERALS[int(digit)] for digit in whole) + "元" + _NUMERALS[int(cents[0])] + "角" + \
        _NUMERALS[int(cents[1])] + "分"
