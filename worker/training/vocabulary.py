"""What the generated lines are made of: word lists, and a grammar of invoices, receipts and codes.

In a grammar rule the alternatives stand between ``|``, and ``<name>`` is replaced by an expansion of that rule or of
one of :class:`worker.training.texts.Texts`'s draws: ``<d8>`` eight digits, ``<u2>`` two capitals, ``<n99>`` a number of
1 to 99, ``<zh>`` a Chinese word or two, ``<en>`` an English word, ``<EN>`` one to three in capitals.
"""

from __future__ import annotations

DIGITS = "0123456789"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
TAX_CODE = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The digits of a unified social credit code: GB 32100-2015 leaves out I, O, S, V, Z."""
PLATE_CODE = DIGITS * 3 + "ABCDEFGHJKLMNPQRSTUVWXYZ"
CIPHER = "0123456789+-*/<>"
PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
CAPITAL_DIGITS = "壹贰叁肆伍陆柒捌玖"

LOOKALIKES = tuple(  # one group a word
    """
    0OoQD 1lI|i 2Zz 5Ss 6b 8B 9gq cC kK uUvV wW xX× pP rn .,· :; -—_ 未末朱 己已巳 日曰目 土士 天夭 人入八 千干于
    大太犬 王玉主 申甲由田 戊戌戍 免兔 乌鸟 侯候 博搏 折拆 晴睛 竞竟 拔拨 冶治 今令 刀刁力 问间闻 贝见 元无 午牛
    兰三 口囗 西酉 住往佳 买卖实 货贷 汪注 准淮 密蜜 账帐 壹壶 贰 叁 柒染
    """.split()  # noqa: SIM905
)
"""Characters that are mistaken for one another."""

# fmt: off
GRAMMAR: dict[str, str] = {
    # -- figures
    "year": "19<d2>|20<d2>|20<d2>|20<d2>",
    "mm": "0<n9>|1<n2>",
    "dd": "0<n9>|1<d1>|2<n8>",
    "month": "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC|Jan|Mar|Sep|Dec",
    "time": "<n23>:<n5><d1>|0<n9>:<n5><d1>|1<d1>:<n5><d1>:<n5><d1>|<n12>:<n5><d1> AM|<n12>:<n5><d1>PM",
    "day": "<year>年<mm>月<dd>日|<year>年<n12>月<n28>日|<year>-<mm>-<dd>|<year>/<n12>/<n28>|<dd>/<mm>/<year>"
           "|<dd>-<mm>-<d2>"
           "|<n28> <month> <year>|<dd><month><year>|<year>.<mm>.<dd>|<dd>/<mm>/<d2>",
    "date": "<day>|<day>|<day> <time>|<time>",
    "phone": "1<d10>|0<d2>-<d8>|0<d3>-<d7>|03-<d4> <d4>|+60<d9>|400-<d3>-<d4>|(0<d2>)<d8>|07-<d7>",
    "capital": "".join(f"{digit}|" for digit in CAPITAL_DIGITS).rstrip("|"),
    "whole": "<capital>万<capital>仟<capital>佰<capital>拾<capital>圆|<capital>仟<capital>佰<capital>拾<capital>圆"
             "|<capital>佰<capital>拾<capital>圆|<capital>拾<capital>圆|<capital>拾<capital>万<capital>仟零<capital>元",
    "in_words": "<whole>整|<whole>整|<whole><capital>角<capital>分|<whole><capital>角整",
    # -- Chinese invoices, tickets and receipts
    "company": "<city><zh><trade><form>",
    "city": "北京|上海市|深圳|广州市|杭州|成都|武汉市|苏州|重庆市|西安|",
    "trade": "科技|贸易|餐饮管理|信息技术|建筑工程|物流|电子商务|酒店管理|文化传媒|医药|汽车销售|百货|石油|网络",
    "form": "有限公司|有限责任公司|股份有限公司|分公司|商行|经营部|店|有限公司北京分公司",
    "address": "<zh>省<zh>市<zh>区<zh>路<n999>号|<zh>市<zh>区<zh>街道<zh>大厦<n30>层<n999>室|<zh>县<zh>镇<zh>村<n999>号"
               "|<zh>区<zh>路<n999>号<zh>园<u1>座<n999>室",
    "unit": "个|台|件|套|箱|kg|千克|吨|米|m|㎡|次|项|年|月|天|张|本|盒|瓶|升|L|PCS",
    "goods": "餐饮服务|信息技术服务|运输服务|电子计算机|办公用品|住宿服务|石油制品|建筑服务|医疗器械|农产品|纸制品"
             "|现代服务"
             "|经纪代理服务",
    "percent": "13%|6%|9%|3%|1%|免税|***|0%",
    "label": "名称|纳税人识别号|统一社会信用代码/纳税人识别号|地址、电话|开户行及账号|货物或应税劳务、服务名称"
             "|规格型号|单位"
             "|数量|单价|金额|税率|税额|合计|价税合计(大写)|价税合计（大写）|(小写)|（小写）|备注|收款人|复核|开票人"
             "|销售方"
             "|购买方|发票代码|发票号码|开票日期|校验码|机器编号|项目名称|税率/征收率|订单号|交易时间|商户名称|付款方"
             "|收款方"
             "|卡号|流水号|姓名|性别|民族|出生|住址|公民身份号码|电话|联系人|合同编号|账户|余额"
             "|电子发票（增值税专用发票）"
             "|电子发票（普通发票）|增值税专用发票|增值税电子普通发票|全国统一发票监制章|国家税务总局|发票联|记账联"
             "|下载次数"
             "|密码区|共1页 第1页|车次|座位号|检票口|出租车发票|上车|下车|里程|实收|找零|应收|小计|桌号|欢迎光临"
             "|谢谢惠顾",
    "colon": ":|：|： |: |",
    "value": "<company>|<address>|<amount>|<amount>|<date>|<phone>|<in_words>|9<tax17>|<d8>|<d12>|<d20>"
             "|<d5> <d5> <d5> <d5>"
             "|<percent>|*<goods>*<zh>|<zh>银行<zh>支行 <d19>|<d6>********<d4>|<unit>|<u2><d3>-<d4>|<cipher27>",
    "invoice": "<label>|<value>|<value>|<label><colon><value>|<label><colon><value>",
    # -- English receipts
    "phrase": "TOTAL|SUBTOTAL|SUB TOTAL|CASH|CHANGE|TAX INVOICE|GST SUMMARY|GST REG NO|GST ID NO|ROUNDING|ROUNDING ADJ"
              "|TOTAL AMOUNT|TOTAL SALES (INCLUSIVE OF GST)|THANK YOU|PLEASE COME AGAIN|QTY|ITEM|DESCRIPTION|PRICE"
              "|AMOUNT"
              "|DISC|INVOICE NO|BILL NO|RECEIPT #|CASHIER|SERVER|TABLE|DATE|TIME|TEL|FAX|CO. REG|TAX(RM)|AMT(RM)"
              "|U/P(RM)"
              "|GOODS SOLD ARE NOT RETURNABLE|EXCHANGE ARE ALLOWED WITHIN 7 DAYS|MEMBER|POINTS|VISA|MASTERCARD"
              "|APPROVAL CODE|CARD NO|Total Qty|Net Total|Service Charge 10%|Payment|Change Due|Order No|Counter"
              "|Salesperson|Document No|Customer|Tax Code|Cash|Total|Subtotal|Date|Time|Item|Price|Thank you",
    "shop": "<EN> SDN BHD|<EN> SDN. BHD.|<EN> ENTERPRISE|<EN> TRADING|<EN> RESTAURANT|<EN> S/B|<EN> LTD|<EN>",
    "street": "NO. <d2>, JALAN <EN> <d1>/<d2>,|<d5> <EN>, <EN>.|LOT <d3>, <en> <en>|<n99>G & <n99>A, TAMAN <EN>,",
    "receipt": "<shop>|<shop>|<street>|<street>|<phrase>|<phrase>:|<phrase> : <amount>|<phrase>: <d6>|<amount>"
               "|<amount>|<date>"
               "|<date>|<phone>|TEL: <phone>|<n20> X <amount>|<EN> <n999>G|<EN> <n999>ML|<n9> <EN>|(<d6>-<u1>)"
               "|<amount> SR"
               "|<amount> Z|<amount> T|<d4>|<d9>|<d13>|<u2><d6>|GST @6%|GST @0%|<n99>|<d2>/<d4>-<d3>|<en> <en>"
               "|<en> <en> <en>",
    # -- labels of wires and parts, serial numbers, licence plates
    "code": "<d1>|<d3>|<d5>|<d6>|<d1><u1><d2>|-<u1><d2>|-<u2><d3>|<u2><d4>|<u1><d2>:<d2>|<d3>-<d2>|<alnum6>|<alnum11>"
            "|<Alnum5>|<Alnum9>|<u2>/<d3>.<d2>|<u1><d1>|-<u1><d1>",
    "plate": "<province><u1><plate5>|<province><u1><plate5>|<province><u1>·<plate5>",
}
# fmt: on
